"""The pictures that the detector of writing is judged by: letters only where there are some, and the same each time."""

from PIL import Image, ImageChops

from benchmarks.burned_in_text import found
from benchmarks.written import Line, unwritten, written


def differ(one: Image.Image, other: Image.Image) -> bool:
    return one.size != other.size or ImageChops.difference(one, other).getbbox() is not None


def test_a_plain_line_is_found_and_one_without_contrast_is_not() -> None:
    assert found(Line(size=24, contrast=200), 3) == 3
    assert found(Line(contrast=0), 3) == 0


def test_each_picture_is_another_and_the_same_again() -> None:
    first, again = list(written(Line(), 4)), list(written(Line(), 4))
    assert not any(differ(one, other) for one, other in zip(first, again, strict=True))
    assert all(differ(first[0], other) for other in first[1:])


def test_what_a_line_says_of_itself_is_drawn() -> None:
    (plain,) = written(Line(), 1)
    for line in (
        Line(contrast=-60, ground=200),
        Line(angle=5),
        Line(blur=1),
        Line(quality=60),
        Line(over_head=True),
    ):
        (other,) = written(line, 1)
        assert differ(plain, other), line


def test_every_kind_without_writing_is_there() -> None:
    kinds = [kind for kind, _ in unwritten(1)]
    assert len(set(kinds)) == 13
    assert "page of text" not in kinds
