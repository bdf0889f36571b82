"""From the values that a DICOM frame stores to gray or RGB of 8 bits, as a viewer shows them.

The order is that of PS3.3, C.11 and N.2: modality table or rescale, then VOI table or window, then MONOCHROME1 turned
about. In an enhanced image each frame has its own, in the functional groups (C.7.6.16). Row by row, where values are
made larger on the way: 30 megapixels of 16 bits would otherwise be 240 MB.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from shared.errors import ImageError
from shared.image.dicom_decoders import decoded

#: Values turned at once: what bounds the memory.
_BAND_VALUES = 1 << 20
_BITS = frozenset({1, 8, 16})
_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_PALETTE = "PALETTE COLOR"
#: What turns stored values into shown ones, at the top level or in a frame's functional groups.
_MODALITY = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence")
_VOI = ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence")
_GROUPS = {"PixelValueTransformationSequence": _MODALITY, "FrameVOILUTSequence": _VOI}
_PIXEL_MODULE = ("BitsStored", "PixelRepresentation", "PhotometricInterpretation", "PixelPaddingValue")
_WHITE = 255

Values = NDArray[Any]
Bytes = NDArray[np.uint8]


class Shown(NamedTuple):
    """A frame as a viewer shows it, and what was done to it, one phrase each."""

    picture: Image.Image
    notes: tuple[str, ...]


def shown(dataset: Dataset, number: int) -> Shown:
    """Frame `number`, from 1, of an image whose size has been checked."""
    photometric = str(dataset.get("PhotometricInterpretation") or "")
    if dataset.get("BitsAllocated") not in _BITS or photometric not in {*_MONOCHROME, *_COLOUR, _PALETTE}:
        said = f"Pixels of {dataset.get('BitsAllocated')} bits, or of their kind of colour, cannot be read."
        raise ImageError(said, code="dicom_pixels_unsupported")
    values = decoded(dataset, number)
    if values.ndim > 2:  # noqa: PLR2004 - rows, columns and samples
        return _colour(values, dataset, photometric)
    if photometric == _PALETTE:
        return Shown(Image.fromarray(_palette(values, dataset)), ("palette applied",))
    return _gray(values, _view(dataset, number), inverted=photometric == "MONOCHROME1")


def _colour(values: Values, dataset: Dataset, photometric: str) -> Shown:
    note = () if photometric == "RGB" else (f"{photometric} converted to RGB",)
    if values.dtype == np.uint8:
        return Shown(Image.fromarray(values), note)
    bits = int(dataset.BitsStored)
    scaled = _by_bands(values, lambda band: _scaled(band, 0, 2**bits - 1))
    return Shown(Image.fromarray(scaled), (*note, f"{bits}-bit rescaled to 8"))


def _palette(values: Values, dataset: Dataset) -> Bytes:
    def colours(band: Values) -> Values:
        found = apply_color_lut(band, dataset)[..., :3]
        return found if found.dtype == np.uint8 else _scaled(found, 0, 2**16 - 1)

    return _by_bands(values, colours, samples=3)


def _gray(values: Values, view: Dataset, *, inverted: bool) -> Shown:
    stored = _modality(view)
    rescaled = ("values rescaled",) if stored is not None else ()
    done, (low, high), note = _voi(values, view, stored or (lambda band: band))
    pixels = _by_bands(values, lambda band: _scaled(done(band), low, high))
    if inverted:
        np.subtract(_WHITE, pixels, out=pixels)
    turned = ("MONOCHROME1 inverted",) if inverted else ()
    return Shown(Image.fromarray(pixels), (*rescaled, note, *turned))


def _modality(view: Dataset) -> Callable[[Values], Values] | None:
    has_rescale = "RescaleSlope" in view and "RescaleIntercept" in view
    if "ModalityLUTSequence" not in view and (
        not has_rescale or (view.RescaleSlope == 1 and not view.RescaleIntercept)
    ):
        return None
    return lambda band: apply_modality_lut(band, view)


def _voi(
    values: Values, view: Dataset, stored: Callable[[Values], Values]
) -> tuple[Callable[[Values], Values], tuple[float, float], str]:
    """What to do to a band, the values it then has for black and white, and what that is called."""
    if "VOILUTSequence" in view:
        depth = int(view.VOILUTSequence[0].LUTDescriptor[2])
        done = lambda band: apply_voi_lut(_whole(stored(band)), view)  # noqa: E731
        return done, (0, 2**depth - 1), "VOI table applied"
    if "WindowWidth" in view and "WindowCenter" in view:
        try:
            apply_voi_lut(stored(values[:1, :1]), view)
        except ValueError:  # a width that cannot be, or a function that nobody knows
            return (
                stored,
                _extremes(values, view, stored),
                "unusable window ignored; darkest black, brightest white",
            )
        return lambda band: apply_voi_lut(stored(band), view), _window_range(view), "window applied"
    return stored, _extremes(values, view, stored), "no window: darkest black, brightest white"


def _whole(values: Values) -> Values:
    return values if np.issubdtype(values.dtype, np.integer) else values.round().astype(np.int32)


def _window_range(view: Dataset) -> tuple[float, float]:
    """What `apply_voi_lut` gives for black and for white (PS3.3, C.11.2.1.2)."""
    bits = int(view.BitsStored)
    if "ModalityLUTSequence" in view:
        return 0, 2 ** int(view.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if view.PixelRepresentation else (0, 2**bits - 1)
    slope, intercept = float(view.get("RescaleSlope", 1)), float(view.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


def _extremes(values: Values, view: Dataset, stored: Callable[[Values], Values]) -> tuple[float, float]:
    """Of the values that show something: what fills the frame up to a rectangle (Pixel Padding Value) does not."""
    padding = view.get("PixelPaddingValue")
    lows, highs = [], []
    for rows in _bands(values):
        band = values[rows]
        seen = stored(band[band != padding] if isinstance(padding, int) else band)
        if seen.size:
            lows.append(float(seen.min()))
            highs.append(float(seen.max()))
    return (min(lows), max(highs)) if lows else (0.0, 1.0)


def _scaled(values: Values, low: float, high: float) -> Bytes:
    share = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    return (np.clip(share, 0, 1) * _WHITE).round().astype(np.uint8)


def _by_bands(values: Values, turn: Callable[[Values], Values], samples: int = 0) -> Bytes:
    out = np.empty((*values.shape, samples) if samples else values.shape, np.uint8)
    for rows in _bands(values):
        out[rows] = turn(values[rows])
    return out


def _bands(values: Values) -> Iterator[slice]:
    rows = max(1, _BAND_VALUES // max(1, values[0].size))
    for top in range(0, len(values), rows):
        yield slice(top, top + rows)


def _view(dataset: Dataset, number: int) -> Dataset:
    """What says how the frame is shown: its own functional groups over those of all frames, over the image's."""
    view = Dataset()
    view.file_meta = dataset.file_meta  # says in which order the bytes of a table are
    _copy(dataset, view, (*_PIXEL_MODULE, *_MODALITY, *_VOI))
    for groups in (_item(dataset, "SharedFunctionalGroupsSequence", 0), _frame_groups(dataset, number)):
        for sequence, names in _GROUPS.items():
            _copy(_item(groups, sequence, 0), view, names)
    return view


def _frame_groups(dataset: Dataset, number: int) -> Dataset:
    return _item(dataset, "PerFrameFunctionalGroupsSequence", number - 1)


def _item(dataset: Dataset, sequence: str, index: int) -> Dataset:
    items = dataset.get(sequence) or []
    return items[index] if index < len(items) else Dataset()


def _copy(source: Dataset, target: Dataset, names: tuple[str, ...]) -> None:
    for name in names:
        value = source.get(name)
        if value is not None and value not in ("", []):
            setattr(target, name, value)
