"""Lengths of time as a person types them: `90s`, `30m`, `12h`, `7d`."""

import re
from datetime import timedelta

import typer

_DURATION = re.compile(r"(\d{1,6})([smhd])")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """The length of time; typer.BadParameter where it is not written like one."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise typer.BadParameter("write it as 90s, 30m, 12h or 7d")
    return timedelta(**{_UNIT[found[2]]: int(found[1])})
