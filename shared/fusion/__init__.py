"""How readings become one result: pure, and run by whoever settles the last of them (decision 7)."""
