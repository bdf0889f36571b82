"""The one small interface to Gemini: the libraries, what bounds them and what guards them all have it."""

from typing import Protocol


class SecondReader(Protocol):
    """Asks Gemini once about one image."""

    def read(self, image: bytes, *, timeout_s: float) -> str:
        """Send `image` (made by `prepare_image`) and return Gemini's text, not blank and not yet checked.

        For the libraries `timeout_s` bounds each wait on the network and not their sum, hence `BoundedReader`. Every
        failure between here and Gemini is a ReadingFailedError.
        """
        ...
