"""The command line: `python -m mediscan`. Server code is imported by the commands that need it and no sooner."""
