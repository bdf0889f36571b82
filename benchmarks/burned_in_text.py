"""How often the detector of writing in pictures errs, on drawn pictures that it was not made with.

`python -m benchmarks.burned_in_text`: what share of pictures with a line of writing it finds, by size and contrast and
by what else may be wrong with the line, and how often it says so of pictures without. `--data FOLDER` adds the pictures
below a folder of your own, which should have no writing; `--list` names those of which it says so.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.say import say
from benchmarks.written import Line, unwritten, written
from services.gemini_worker.burned_in import shows_writing

SIZES, CONTRASTS = (8, 10, 12, 16, 24, 40), (30, 45, 60, 90, 150, 220)
#: What else may be with a line that is otherwise large and clear.
OTHERWISE = (
    *(Line(letters=count) for count in (2, 3, 4, 5, 6, 8, 20)),
    *(Line(over_head=True, size=size) for size in (16, 24)),
    *(Line(contrast=contrast, ground=200) for contrast in (-110, -60)),
    *(Line(angle=angle) for angle in (1.0, 3.0, 6.0, 12.0, 90.0)),
    *(Line(blur=sigma) for sigma in (0.5, 1.0, 2.0)),
    *(Line(quality=quality) for quality in (90, 60, 30)),
)
_SUFFIXES = {".png", ".jpg", ".jpeg"}


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    _say_sensitivity(arguments.each)
    _say_otherwise(arguments.each)
    _say_alarms("drawn, without writing", unwritten(arguments.each))
    for folder in arguments.data:
        _say_alarms(f"pictures below {folder}", _pictures(folder, listed=arguments.list))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=60, help="pictures of each kind")
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="PNG and JPEG files without writing"
    )
    parser.add_argument("--list", action="store_true", help="name the files of --data of which it says so")
    return parser.parse_args()


def found(line: Line, each: int) -> int:
    """In how many of so many pictures with such a line it finds it."""
    return sum(map(shows_writing, written(line, each)))


def _say_sensitivity(each: int) -> None:
    say(f"found, of {each} each: size of the typeface in px (down), contrast in gray levels (across)")
    say(f"{'':>6}" + "".join(f"{contrast:>6}" for contrast in CONTRASTS))
    for size in SIZES:
        row = [found(Line(size=size, contrast=contrast), each) for contrast in CONTRASTS]
        say(f"{size:>6}" + "".join(f"{count:>6}" for count in row))


def _say_otherwise(each: int) -> None:
    plain = Line()
    say(
        f"found, of {each} each, size {plain.size}, contrast {plain.contrast}, {plain.letters} letters, but for"
    )
    for line in OTHERWISE:
        say(f"  {_differs(line, plain)}: {found(line, each)}")


def _differs(line: Line, plain: Line) -> str:
    return ", ".join(
        f"{field}={value}" for field, value in vars(line).items() if value != getattr(plain, field)
    )


def _say_alarms(what: str, pictures: Iterator[tuple[str, Image.Image]]) -> None:
    looked_at, said = Counter[str](), Counter[str]()
    for kind, picture in pictures:
        looked_at[kind] += 1
        said[kind] += shows_writing(picture)
    say(f"said of {sum(said.values())} of {looked_at.total()} {what}")
    for kind, count in looked_at.items():
        say(f"  {kind}: {said[kind]} of {count}")


def _pictures(folder: Path, *, listed: bool) -> Iterator[tuple[str, Image.Image]]:
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() not in _SUFFIXES:
            continue
        with Image.open(file) as opened:
            picture = opened.convert("L")
        if listed and shows_writing(picture):
            say(f"  {file}")
        yield file.parent.name, picture


if __name__ == "__main__":
    main()
