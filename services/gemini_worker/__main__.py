"""Entry point: `python -m services.gemini_worker` serves the gemini queue, with threads: its work is waiting."""

from services.gemini_worker import arenas, tasks
from services.gemini_worker.settings import GeminiWorkerSettings
from shared import telemetry
from shared.names import Stage
from shared.observe import tracing
from shared.queue import make_celery
from shared.settings import load
from shared.worker import exit_on_setup_error, run


def main() -> None:
    """Serve the gemini queue."""
    arenas.bound()
    settings = load(GeminiWorkerSettings)
    telemetry.configure(settings, "gemini_worker")
    tracing.start(settings, "gemini_worker")
    app = make_celery(settings)
    tasks.register(app, settings)
    run(app, Stage.GEMINI, settings, pool="threads", concurrency=settings.gemini_concurrency)


if __name__ == "__main__":
    exit_on_setup_error(main)
