"""`python -m services.gateway`: check the set-up, then serve."""

import logging

from services.gateway.app import create_app
from services.gateway.key_store import KeyStore
from services.gateway.listen import bind
from services.gateway.resources import Resources, open_resources
from services.gateway.server import exit_cleanly_on_signals, serve
from services.gateway.settings import GatewaySettings
from shared.errors import BlobStoreUnavailableError, SetupError
from shared.observe import metrics, tracing
from shared.queue import check
from shared.settings import load
from shared.telemetry import configure
from shared.worker import exit_on_setup_error, wait_for

log = logging.getLogger(__name__)


def main() -> None:
    """Run the gateway until it is told to stop; SetupError where it cannot start."""
    exit_cleanly_on_signals()
    settings = load(GatewaySettings)
    configure(settings, "gateway")
    tracing.start(settings, "gateway")
    with bind(settings) as bound:
        resources = open_resources(settings)
        _check(resources)
        metrics.serve(settings)
        serve(create_app(resources), bound, settings, on_stop=resources.notices.stop)


def _check(resources: Resources) -> None:
    wait_for(resources.ledger, resources.settings)
    check(resources.queue)
    try:
        resources.blobs.check_writable()
        keyless = resources.settings.auth == "keys" and not KeyStore(resources.blobs).ids()
    except BlobStoreUnavailableError as error:
        raise SetupError("the image store at MEDISCAN_BLOB_URL cannot be written") from error
    if keyless:
        log.warning("there is no API key yet: `python -m mediscan keys create --tenant NAME` makes one")


if __name__ == "__main__":
    exit_on_setup_error(main)
