"""multipart/form-data (RFC 7578) and multipart/related (RFC 2387) as a stream of events. Holds no part in memory.

On python-multipart's parser.

File names and the declared types of parts are read past: neither is trusted, stored or logged.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from shared.errors import BadUploadError

if TYPE_CHECKING:  # it does not exist at run time
    from python_multipart.multipart import MultipartCallbacks

#: An image and the fields that may stand beside it are ten; the rest is room to name the wrong one in a clear answer.
_MAX_PARTS = 12
#: RFC 2046, 5.1.1.
_MAX_BOUNDARY_BYTES = 70
#: Orthanc's have 73.
_MAX_RELATED_BOUNDARY_BYTES = 128

# It warns of what we answer with a 4xx, character by character.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


@dataclass(frozen=True)
class PartBegins:
    """A part's headers are read."""

    name: str


@dataclass(frozen=True)
class PartData:
    """Some of the part's content."""

    data: bytes


@dataclass(frozen=True)
class PartEnds:
    """The part is complete."""


Event = PartBegins | PartData | PartEnds


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names; BadUploadError where it is not multipart/form-data or names none."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise BadUploadError(
            "The body must be multipart/form-data with one `image` part.", code="not_multipart", status=415
        )
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise _malformed()
    return boundary


def related_boundary(content_type: str, media_type: str) -> bytes:
    """The same of multipart/related with parts of `media_type`."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/related" or options.get(b"type", media_type.encode()) != media_type.encode():
        said = f'The body must be multipart/related with type="{media_type}".'
        raise BadUploadError(said, code="not_multipart", status=415)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_RELATED_BOUNDARY_BYTES:
        raise _malformed()
    return boundary


class MultipartDecoder:
    """Turns body chunks into events. BadUploadError as soon as the body is not well-formed."""

    def __init__(self, boundary: bytes, *, max_parts: int = _MAX_PARTS) -> None:
        self._max_parts = max_parts
        self._events: list[Event] = []
        self._parts = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._is_complete = False
        self._parser = MultipartParser(boundary, self._callbacks())

    def feed(self, chunk: bytes) -> list[Event]:
        """What `chunk` completes."""
        self._events = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed() from error
        return self._events

    def close(self) -> None:
        """Say that the body is over; BadUploadError if the form is not."""
        if not self._is_complete:
            raise BadUploadError(
                "The upload ends before its closing boundary: it is not complete.", code="upload_incomplete"
            )

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_begin": self._on_header_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._parts += 1
        self._disposition = b""
        if self._parts > self._max_parts:
            raise BadUploadError(f"The body has more than {self._max_parts} parts.", code="too_many_parts")

    def _on_header_begin(self) -> None:
        self._header = (bytearray(), bytearray())

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _on_header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])

    def _on_headers_finished(self) -> None:
        self._events.append(PartBegins(self._name()))

    def _name(self) -> str:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise _malformed()
        return options[b"name"].decode("latin-1")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _on_part_end(self) -> None:
        self._events.append(PartEnds())

    def _on_end(self) -> None:
        self._is_complete = True


class RelatedDecoder(MultipartDecoder):
    """Of multipart/related, whose parts have no names."""

    def _name(self) -> str:
        return ""


def _malformed() -> BadUploadError:
    return BadUploadError("The body is not well-formed multipart.", code="bad_multipart")
