"""The bounds on decoding one image, for the services that decode."""

from pydantic import Field

from shared.settings import Settings

_MIB = 1 << 20


class DecodeSettings(Settings):
    """Shared knobs and those of a service that decodes images."""

    decode_memory_bytes: int = Field(
        272 * _MIB,
        ge=16 * _MIB,
        description="Memory that decoding one image may take, in bytes; an image that needs more is refused.",
    )
    decode_cpu_s: int = Field(
        8,
        ge=1,
        description="Processor time that decoding one image may take; one that needs more is refused.",
    )
    max_frames: int = Field(
        64, ge=1, description="Most frames of an image that is read with `frame=all`; one of more is refused."
    )
