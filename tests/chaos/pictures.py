"""What the client submits: small drawn images that are quick to read, some too large for one write, some broken."""

import random
from dataclasses import dataclass

from PIL import Image

from tests.chaos.arena import OTHER_MODEL
from tests.support.images import broken_inside, encoded, scan

_SIDE = 64
_LARGE_SIDE = 700


@dataclass(frozen=True)
class Wish:
    """One submission as the client makes it."""

    image: bytes
    fields: dict[str, str]
    #: Cancelled by the client right after it was accepted.
    is_cancelled: bool = False
    #: Refers to an earlier job of the client, once there is one.
    has_prior: bool = False


class Wishes:
    """The client's submissions, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._small = [scan(_SIDE, shade=shade) for shade in range(60, 256, 20)]
        self._small += [
            encoded(Image.new("RGB", (_SIDE, _SIDE), (shade, 40, 40)), "JPEG") for shade in (80, 160)
        ]
        noise = self._random.randbytes(_LARGE_SIDE * _LARGE_SIDE * 3)
        #: Over the 1 MiB that the gateway takes in one piece: this one is streamed to the blob store.
        self.large = encoded(Image.frombytes("RGB", (_LARGE_SIDE, _LARGE_SIDE), noise))
        self._broken = broken_inside()

    def next(self) -> Wish:
        """One of many plain ones, and now and then one of the others."""
        draw = self._random.random
        fields = {"priority": "stat" if draw() < 0.2 else "routine", "metadata": '{"study": "chaos"}'}
        if draw() < 0.3:
            fields["model"] = OTHER_MODEL
        return Wish(
            image=self._image(draw()),
            fields=fields,
            is_cancelled=draw() < 0.02,
            has_prior=draw() < 0.1,
        )

    def _image(self, drawn: float) -> bytes:
        if drawn < 0.01:
            return self.large
        if drawn < 0.02:
            return self._broken
        return self._random.choice(self._small)
