"""Test-time views."""

import numpy as np
from PIL import Image

from services.ml_worker.model import RawOutputs
from services.ml_worker.views import average, views


def corner() -> Image.Image:
    image = Image.new("L", (60, 40), 0)
    image.paste(200, (0, 0, 30, 20))
    return image


def test_four_views_of_one_size_and_mode() -> None:
    shown = list(views(corner()))
    assert [(view.size, view.mode) for view in shown] == [((60, 40), "L")] * 4


def test_the_first_is_the_image_itself_and_the_second_its_mirror_image() -> None:
    same, mirrored, *_ = views(corner())
    assert same.tobytes() == corner().tobytes()
    assert (mirrored.getpixel((59, 0)), mirrored.getpixel((0, 0))) == (200, 0)


def test_the_scaled_views_zoom_about_the_centre() -> None:
    *_, further, closer = (np.asarray(view) for view in views(corner()))
    assert further[0, 0] == 0  # black came in from outside
    assert closer[0, 0] == 200
    assert np.count_nonzero(closer) > np.count_nonzero(further)


def test_logits_are_averaged_and_the_map_is_that_of_the_image() -> None:
    def outputs(value: float) -> RawOutputs:
        return RawOutputs(
            logits=np.array([value, -value], np.float32),
            embedding=np.full(1280, value, np.float32),
            cam=np.full((7, 7), value, np.float32),
            distance=value,
        )

    mean = average([outputs(1.0), outputs(3.0)])
    assert mean.logits.tolist() == [2.0, -2.0]
    assert mean.cam[0, 0] == 1.0
    assert (mean.embedding[0], mean.distance) == (1.0, 1.0)
