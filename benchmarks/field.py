"""Who runs beside MediScan: for each peer what to start and how to ask it."""

import json
from collections.abc import Mapping, Sequence

from benchmarks.http_client import Answer, multipart, request
from benchmarks.subject import CannotStartError, Subject, free_port
from embedded.valkey import broker_command
from tests.support.launch import ROOT

#: The environment that `make bench` installs for the peers.
_BIN = ROOT / ".venv-bench" / "bin"
_MODULE = "benchmarks.peers."


class Peer(Subject):
    """One that answers with the reading itself."""

    is_synchronous = True
    promise = "nothing: the answer is the result"
    #: Where an image is posted to, and what says that it is ready.
    post, health = "/predict", "/health"

    def start(self) -> None:
        """As every subject; CannotStartError where the peers are not installed."""
        if not (_BIN / "python").exists():
            raise CannotStartError("the peers' environment is not installed (make bench)")
        super().start()

    def environment(self) -> Mapping[str, str]:
        """One thread a process where a library would take all cores: there are two processes."""
        return {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(self.folder)}

    def is_ready(self) -> bool:
        """A GET succeeds."""
        return self.get(self.health) == 200  # noqa: PLR2004 - HTTP

    def submission(self, image: bytes) -> bytes:
        """A form with the image."""
        return multipart(self.post, "image", image)

    def inquiry(self, answer: Answer) -> bytes | None:
        """Nothing more to ask."""
        if answer.status != 200:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"{self.name}: {answer.status} {answer.body[:200]!r}")
        return None

    def is_result(self, answer: Answer) -> bool:
        """Each answer is."""
        return True

    def _python(self, module: str, *arguments: str) -> list[str]:
        return [str(_BIN / "python"), "-m", _MODULE + module, str(self.port), *arguments]


class FlaskKeras(Peer):
    """The seed's server."""

    name = "Flask + Keras"

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Flask's own server, as the seed runs it."""
        return {"server": self._python("flask_keras")}


class GunicornKeras(Peer):
    """The same under a server for production."""

    name = "gunicorn + Flask + Keras"

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Two workers, one a core."""
        where = f"127.0.0.1:{self.port}"
        return {"server": [str(_BIN / "gunicorn"), "-w", "2", "-b", where, _MODULE + "flask_keras:app"]}


class LitServe(Peer):
    """A synchronous model server."""

    name = "LitServe"

    def commands(self) -> Mapping[str, Sequence[str]]:
        """It forks its own workers."""
        return {"server": self._python("litserve_sync")}


class RayServe(Peer):
    """A synchronous model server on a distributed runtime."""

    name, post, health = "Ray Serve", "/", "/-/healthz"

    def commands(self) -> Mapping[str, Sequence[str]]:
        """It starts its own cluster."""
        return {"server": self._python("ray_serve", str(self.folder))}


class Queued(Peer):
    """One that answers with a job."""

    is_synchronous = False
    promise = "nothing: a restart loses queued jobs"


class BentoTask(Queued):
    """BentoML's own task queue: two servers of one worker, as all others have two processes.

    A task is known to the server that took it, and each connection keeps to one server, as behind a balancer of
    connections. Why not one server of two workers is in `peers/bentoml_task.py`.
    """

    name, post, health = "BentoML tasks", "/read/submit", "/readyz"
    servers = 2

    def __init__(self) -> None:
        super().__init__()
        self._ports = [self.port, *(free_port() for _ in range(self.servers - 1))]

    def ports(self) -> Sequence[int]:
        """One a server."""
        return self._ports

    def is_ready(self) -> bool:
        """All are."""
        return all(self.get(self.health, port) == 200 for port in self._ports)  # noqa: PLR2004 - HTTP

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Its command line, once a server, each with a home of its own: the file of results lies there."""
        serve = [str(_BIN / "bentoml"), "serve", _MODULE + "bentoml_task:Reading", "--host=127.0.0.1", "-p"]
        return {
            f"server{number}": ["env", f"BENTOML_HOME={self.folder / str(number)}", *serve, str(port)]
            for number, port in enumerate(self._ports)
        }

    def environment(self) -> Mapping[str, str]:
        """It tells nobody of its use."""
        return {**super().environment(), "BENTOML_DO_NOT_TRACK": "True"}

    def inquiry(self, answer: Answer) -> bytes | None:
        """Its result, which is an error until it is there."""
        super().inquiry(answer)
        return request("GET", f"/read/get?task_id={json.loads(answer.body)['task_id']}")

    def is_result(self, answer: Answer) -> bool:
        """A 400 that says so: not yet. RuntimeError where the task failed: its error is the answer."""
        if answer.status == 400 and b"is not completed yet" in answer.body:  # noqa: PLR2004 - HTTP
            return False
        if answer.status != 200:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"{self.name}: {answer.status} {answer.body[:200]!r}")
        return True


class BentoTaskAlone(BentoTask):
    """The same as one server, which is one process: what its documentation starts with."""

    name, servers = "BentoML tasks, one process", 1


class _Textbook(Queued):
    post, health, reader = "/jobs", "/openapi.json", ""

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Redis, two children, one web process."""
        app = _MODULE + "fastapi_celery"
        redis = broker_command(self.folder / "redis", "--port", "0", "--unixsocket", str(self._socket))
        worker = ["-A", app + ":queue", "worker", "-c", "2", "-l", "warning"]
        web = [app + ":api", "--host", "127.0.0.1", "--port", str(self.port), "--log-level", "warning"]
        return {
            "redis": redis,
            "worker": [str(_BIN / "celery"), *worker],
            "web": [str(_BIN / "uvicorn"), *web],
        }

    @property
    def _socket(self) -> object:
        return self.folder / "redis.sock"

    def environment(self) -> Mapping[str, str]:
        """Where its Redis is, and what reads."""
        own = {"PEER_REDIS": f"redis+socket://{self._socket}", "PEER_READER": self.reader}
        return {**super().environment(), **own}

    def inquiry(self, answer: Answer) -> bytes | None:
        """The job."""
        if answer.status != 202:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"{self.name}: {answer.status} {answer.body[:200]!r}")
        return request("GET", f"/jobs/{json.loads(answer.body)['id']}")

    def is_result(self, answer: Answer) -> bool:
        """Whether its task succeeded; RuntimeError where it failed."""
        state = json.loads(answer.body)["state"]
        if state == "FAILURE":
            raise RuntimeError(f"{self.name}: a task failed")
        return bool(state == "SUCCESS")


class CeleryKeras(_Textbook):
    """The textbook with the seed's runtime."""

    name, reader = "FastAPI + Celery + Keras", "keras"


class CeleryLiteRt(_Textbook):
    """The textbook with our runtime."""

    name, reader = "FastAPI + Celery + LiteRT", "litert"


PEERS: tuple[type[Peer], ...] = (
    FlaskKeras,
    GunicornKeras,
    CeleryKeras,
    CeleryLiteRt,
    BentoTask,
    BentoTaskAlone,
    RayServe,
    LitServe,
)
