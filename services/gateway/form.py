"""The submission form: exactly one `image`, at most one `priority` and one `metadata`, in any order.

Pulled, not pushed: the image goes on to the blob store at the pace at which that takes it.
"""

from collections import deque
from collections.abc import Mapping

from services.gateway.body import BodyReader, empty_body
from services.gateway.multipart import Event, MultipartDecoder, PartBegins, PartData
from shared.errors import BadUploadError

IMAGE = "image"


class SubmissionForm:
    """Reads one form. Use in this order: `find_image`, `image_data` until it is None, `rest`."""

    def __init__(self, body: BodyReader, decoder: MultipartDecoder, field_limits: Mapping[str, int]) -> None:
        self._body = body
        self._decoder = decoder
        #: The fields that may stand beside the image, with the most bytes each may have.
        self._limits = field_limits
        self._pending: deque[Event] = deque()
        self._fields: dict[str, bytes] = {}
        #: Whether the image part is read to its end.
        self.image_ended = False

    async def find_image(self) -> None:
        """Read up to the content of the image part; BadUploadError where there is none."""
        while (name := await self._next_part()) != IMAGE:
            if name is None:
                raise BadUploadError("The form has no `image` part.", code="missing_image")
            await self._read_field(name)

    async def image_data(self) -> bytes | None:
        """The next bytes of the image, None at its end."""
        event = None if self.image_ended else await self._next_event()
        self.image_ended = not isinstance(event, PartData)
        return event.data if isinstance(event, PartData) else None

    async def rest(self) -> Mapping[str, bytes]:
        """Read what follows the image, to the end of the body, and return all fields."""
        while (name := await self._next_part()) is not None:
            if name == IMAGE:
                raise BadUploadError(
                    "Send one image a job: there is a second one.", code="more_than_one_image"
                )
            await self._read_field(name)
        return self._fields

    async def _next_part(self) -> str | None:
        while (event := await self._next_event()) is not None:
            if isinstance(event, PartBegins):
                return event.name
        return None

    async def _read_field(self, name: str) -> None:
        if name not in self._limits:
            allowed = ", ".join(f"`{known}`" for known in (IMAGE, *self._limits))
            raise BadUploadError(
                f"The form has a part of another name than {allowed}.", code="unexpected_part"
            )
        if name in self._fields:
            raise BadUploadError(f"The form has more than one `{name}` part.", code="duplicate_part")
        self._fields[name] = await self._field_value(name)

    async def _field_value(self, name: str) -> bytes:
        value = bytearray()
        while isinstance(event := await self._next_event(), PartData):
            value += event.data
            if len(value) > self._limits[name]:
                limit = f"The `{name}` part may have at most {self._limits[name]} bytes."
                raise BadUploadError(limit, code=f"{name}_too_large", status=422)
        return bytes(value)

    async def _next_event(self) -> Event | None:
        while not self._pending:
            chunk = await self._body.next_chunk()
            if chunk is None:
                self._check_complete()
                return None
            self._pending.extend(self._decoder.feed(chunk))
        return self._pending.popleft()

    def _check_complete(self) -> None:
        if self._body.received_bytes == 0:
            raise empty_body()
        self._decoder.close()
