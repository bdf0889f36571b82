"""Both readings -> one stored result; also the reaper, which keeps every job moving."""
