"""The parts of a STOW-RS body, one after the other, each as a submission without fields."""

from collections import deque
from collections.abc import Mapping

from services.gateway.body import BodyReader, empty_body
from services.gateway.multipart import Event, PartBegins, PartData, RelatedDecoder
from shared.errors import CallerError, TooLargeError

#: Kept of each part, so that one that is refused can be named: file meta information comes first.
_FIRST_BYTES = 4096


class Instances:
    """Reads one body. `next` for each part; a part that is left before its end is read past."""

    def __init__(self, body: BodyReader, decoder: RelatedDecoder, max_bytes: int) -> None:
        self._body = body
        self._decoder = decoder
        self._max_bytes = max_bytes
        self._pending: deque[Event] = deque()
        #: Whether it is the body that is wrong, and not one of its parts: nothing can be read from it any more.
        self.is_broken = False

    async def next(self) -> "Instance | None":
        """The next part, None at the end."""
        while (event := await self.event()) is not None:
            if isinstance(event, PartBegins):
                return Instance(self, self._max_bytes)
        return None

    async def event(self) -> Event | None:
        """The next piece of the body. CallerError: it is cut off, too large, too slow or not well-formed."""
        try:
            return await self._event()
        except CallerError:
            self.is_broken = True
            raise

    async def _event(self) -> Event | None:
        while not self._pending:
            chunk = await self._body.next_chunk()
            if chunk is None:
                if self._body.received_bytes == 0:
                    raise empty_body()
                self._decoder.close()
                return None
            self._pending.extend(self._decoder.feed(chunk))
        return self._pending.popleft()


class Instance:
    """One part, as `ImageUpload` takes it."""

    def __init__(self, instances: Instances, max_bytes: int) -> None:
        self._instances = instances
        self._left = max_bytes
        self.image_ended = False
        #: Its first bytes.
        self.first = b""

    async def find_image(self) -> None:
        """It is all there is."""

    async def image_data(self) -> bytes | None:
        """The next bytes, None at the end; TooLargeError where there are more than one upload may have."""
        event = None if self.image_ended else await self._instances.event()
        if not isinstance(event, PartData):
            self.image_ended = True
            return None
        self._left -= len(event.data)
        if self._left < 0:
            raise TooLargeError("The instance is larger than an upload may be.", code="instance_too_large")
        self.first += event.data[: _FIRST_BYTES - len(self.first)]
        return event.data

    async def rest(self) -> Mapping[str, bytes]:
        """A part has no fields."""
        return {}

    async def skip(self) -> None:
        """Read past what is left of it."""
        while not self.image_ended:
            self.image_ended = not isinstance(await self._instances.event(), PartData)
