"""Text of others on paper: escaped, because ReportLab reads markup, cut to a length, and in letters that are there."""

# It writes XML and reads none.
from xml.sax.saxutils import escape  # nosec B406

#: The typeface that every PDF viewer brings has these letters and no others.
_LETTERS = "cp1252"

#: More than this of one text is no help on paper; the job itself holds all of it.
MOST = 1500


def safe(text: object, most: int = MOST) -> str:
    """One text as ReportLab may have it: no markup, no control character, at most `most` characters long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text))
    cut = plain if len(plain) <= most else f"{plain[: most - 1]}…"
    return escape(cut.encode(_LETTERS, "replace").decode(_LETTERS))


def plain(code: str) -> str:
    """`out_of_distribution` as people write it."""
    return code.replace("_", " ")
