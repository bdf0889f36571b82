"""The demo image: a brain-like phantom with one bright lesion, drawn by code. No patient, no scanner."""

from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

_SIDE = 512
#: Ellipses from the skull inwards: (left, top, right, bottom) in px and grey level.
_ANATOMY = (
    ((76, 36, 436, 476), 150),  # scalp
    ((88, 48, 424, 464), 40),  # skull
    ((98, 58, 414, 454), 105),  # grey matter
    ((124, 86, 388, 428), 130),  # white matter
    ((206, 190, 250, 300), 45),  # lateral ventricles
    ((262, 190, 306, 300), 45),
)
_LESION = ((300, 128, 372, 196), 225)
_FISSURE = ((256, 62), (256, 190))


def draw_phantom(path: Path) -> Path:
    """Write the phantom as an 8-bit grey PNG, 512 x 512 px; the same bytes each time."""
    image = Image.new("L", (_SIDE, _SIDE), 4)
    pen = ImageDraw.Draw(image)
    for box, grey in _ANATOMY:
        pen.ellipse(box, fill=grey)
    pen.line(_FISSURE, fill=60, width=5)
    pen.ellipse(_LESION[0], fill=_LESION[1])
    soft = image.filter(ImageFilter.GaussianBlur(4))
    path.parent.mkdir(parents=True, exist_ok=True)
    ImageChops.add(soft, _texture(), scale=1, offset=-8).save(path)
    return path


def _texture() -> Image.Image:
    """A fixed, tissue-like unevenness: 0 to 16 grey levels."""
    pattern = bytes((x * x + 7 * y * y + x * y) % 17 for y in range(_SIDE) for x in range(_SIDE))
    return Image.frombytes("L", (_SIDE, _SIDE), pattern).filter(ImageFilter.GaussianBlur(1.2))
