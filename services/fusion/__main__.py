"""Entry point: `python -m services.fusion` serves the fusion queue, `python -m services.fusion reaper` reaps."""

import sys

from services.fusion import reaper, tasks
from services.fusion.settings import FusionSettings
from shared import telemetry
from shared.names import Stage
from shared.queue import make_celery
from shared.settings import load
from shared.worker import exit_on_setup_error, run


def main() -> None:
    """Start the part that the command line names."""
    settings = load(FusionSettings)
    app = make_celery(settings)
    if sys.argv[1:] == ["reaper"]:
        telemetry.configure(settings, "reaper")
        reaper.run(app, settings)
        return
    telemetry.configure(settings, "fusion")
    tasks.register(app, settings)
    run(app, Stage.FUSION, settings, pool="prefork", concurrency=settings.fusion_concurrency)


if __name__ == "__main__":
    exit_on_setup_error(main)
