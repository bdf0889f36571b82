"""LitServe: a synchronous server with worker processes and no queue that outlives it. `… PORT`."""

from typing import Any

import litserve
from fastapi import Request

from benchmarks.peers.reading import LiteRtReader, port


class Reading(litserve.LitAPI):  # type: ignore[misc]
    """One image in, one reading out."""

    def setup(self, device: str) -> None:
        """Once a worker process."""
        self.reader = LiteRtReader()

    def decode_request(self, request: Request) -> bytes:
        """The uploaded file; LitServe hands over the form, whatever the annotation says."""
        content: bytes = request["image"].file.read()
        return content

    def predict(self, image: bytes) -> dict[str, Any]:
        """Read it."""
        return self.reader.read(image)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Reading(), accelerator="cpu", workers_per_device=2)
    server.run(host="127.0.0.1", port=port(), generate_client_file=False, log_level="warning")
