"""Entry point: `python -m services.ml_worker` serves the ml queue."""

from services.ml_worker import tasks
from services.ml_worker.model import load_bundle
from services.ml_worker.settings import MlWorkerSettings
from shared import telemetry
from shared.names import Stage
from shared.queue import make_celery
from shared.settings import load
from shared.worker import exit_on_setup_error, run


def main() -> None:
    """Check the model, then serve."""
    settings = load(MlWorkerSettings)
    telemetry.configure(settings, "ml_worker")
    bundle = load_bundle(
        settings.models_dir,
        settings.model_name,
        settings.model_version,
        settings.model_variant,
    )
    app = make_celery(settings)
    tasks.register(app, settings, bundle)
    run(app, Stage.ML, settings, pool="prefork", concurrency=settings.ml_concurrency)


if __name__ == "__main__":
    exit_on_setup_error(main)
