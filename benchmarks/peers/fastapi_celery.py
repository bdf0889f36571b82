"""The textbook: FastAPI takes the image, Celery reads it, Redis carries both the task and its result.

`uvicorn benchmarks.peers.fastapi_celery:api`, `celery -A benchmarks.peers.fastapi_celery:queue worker`. A restart of
its Redis loses what it held: nothing is written to disk.
"""

import base64
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init
from fastapi import FastAPI, UploadFile

from benchmarks.peers.reading import reader

_REDIS = os.environ["PEER_REDIS"]

queue = Celery("peer", broker=_REDIS, backend=_REDIS)
api = FastAPI()
_loaded: dict[str, Any] = {}


@worker_process_init.connect  # type: ignore[untyped-decorator]
def load_model(**_: Any) -> None:
    """Once a child."""
    _loaded["reader"] = reader(os.environ["PEER_READER"])


@queue.task  # type: ignore[untyped-decorator]
def read(image: str) -> dict[str, Any]:
    """One image, in base64: tasks are JSON."""
    found: dict[str, Any] = _loaded["reader"].read(base64.b64decode(image))
    return found


@api.post("/jobs", status_code=202)
async def submit(image: UploadFile) -> dict[str, str]:
    """Queue it."""
    task = read.delay(base64.b64encode(await image.read()).decode())
    return {"id": task.id}


@api.get("/jobs/{job_id}")
def result(job_id: str) -> dict[str, Any]:
    """As it stands."""
    task = queue.AsyncResult(job_id)
    return {"state": task.state, "result": task.result if task.successful() else None}
