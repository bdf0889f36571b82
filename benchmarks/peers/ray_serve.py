"""Ray Serve: a synchronous deployment of two replicas behind its proxy. `… PORT FOLDER` (for Ray's own files)."""

import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.reading import LiteRtReader, port


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=16)
class Reading:
    """One image in, one reading out."""

    def __init__(self) -> None:
        self._reader = LiteRtReader()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Read the uploaded file."""
        form = await request.form()
        return self._reader.read(await form["image"].read())  # type: ignore[union-attr]


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, _temp_dir=sys.argv[2], log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port()})
    serve.run(Reading.bind(), blocking=True)  # type: ignore[attr-defined]
