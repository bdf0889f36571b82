"""Entry point: `python -m services.fusion [fuse | reaper | dead-letters]`; `fuse` unless told otherwise."""

import sys

from services.fusion import dead_letters, reaper, tasks
from services.fusion.settings import FusionSettings
from shared import telemetry
from shared.blob_store import BlobStore
from shared.errors import SetupError
from shared.ledger import Ledger
from shared.names import Stage
from shared.observe import tracing
from shared.queue import make_celery
from shared.settings import load
from shared.worker import exit_on_setup_error, run, wait_for


def main() -> None:
    """Do what the command line names."""
    commands = {"fuse": _fuse, "reaper": _reaper, "dead-letters": _dead_letters}
    chosen = sys.argv[1] if len(sys.argv) > 1 else "fuse"
    if chosen not in commands:
        raise SetupError(f"there is no command {chosen!r}, only {', '.join(commands)}")
    commands[chosen](load(FusionSettings))


def _fuse(settings: FusionSettings) -> None:
    telemetry.configure(settings, "fusion")
    tracing.start(settings, "fusion")
    app = make_celery(settings)
    tasks.register(app, settings)
    run(app, Stage.FUSION, settings, pool="prefork", concurrency=settings.fusion_concurrency)


def _reaper(settings: FusionSettings) -> None:
    telemetry.configure(settings, "reaper")
    tracing.start(settings, "reaper")
    reaper.run(make_celery(settings), settings)


def _dead_letters(settings: FusionSettings) -> None:
    ledger = Ledger.open(settings, patience_s=1)
    wait_for(ledger, settings)
    for line in dead_letters.lines(ledger, BlobStore.open(settings.blob_url)):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    exit_on_setup_error(main)
