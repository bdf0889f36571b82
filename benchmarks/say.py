"""What a measurement says while it runs: a line at a time, seen at once also where the output is a file or a pipe."""

import sys


def say(line: str) -> None:
    """Print one line now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
