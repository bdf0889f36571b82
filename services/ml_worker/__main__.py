"""Entry point: `python -m services.ml_worker` serves the ml queue."""

from services.ml_worker import tasks
from services.ml_worker.installed import load_installed
from services.ml_worker.settings import MlWorkerSettings
from shared import telemetry
from shared.names import Stage
from shared.observe import tracing
from shared.queue import make_celery
from shared.settings import load
from shared.worker import exit_on_setup_error, run


def main() -> None:
    """Check the models, then serve."""
    settings = load(MlWorkerSettings)
    telemetry.configure(settings, "ml_worker")
    tracing.start(settings, "ml_worker")
    installed = load_installed(settings)
    cards = installed.cards()
    app = make_celery(settings)
    tasks.register(app, settings, installed)
    run(
        app,
        Stage.ML,
        settings,
        pool="prefork",
        concurrency=settings.ml_concurrency,
        announce=lambda ledger: ledger.offer_models(cards, default=installed.default),
    )


if __name__ == "__main__":
    exit_on_setup_error(main)
