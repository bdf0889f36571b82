"""`python -m services.gateway`: check the set-up, then serve."""

from services.gateway.app import create_app
from services.gateway.listen import bind
from services.gateway.resources import Resources, open_resources
from services.gateway.server import exit_cleanly_on_signals, serve
from services.gateway.settings import GatewaySettings
from shared.errors import BlobStoreUnavailableError, SetupError
from shared.queue import check
from shared.settings import load
from shared.telemetry import configure
from shared.worker import exit_on_setup_error, wait_for


def main() -> None:
    """Run the gateway until it is told to stop; SetupError where it cannot start."""
    exit_cleanly_on_signals()
    settings = load(GatewaySettings)
    configure(settings, "gateway")
    with bind(settings) as bound:
        resources = open_resources(settings)
        _check(resources)
        serve(create_app(resources), bound, settings)


def _check(resources: Resources) -> None:
    wait_for(resources.ledger, resources.settings)
    check(resources.queue)
    try:
        resources.blobs.check_writable()
    except BlobStoreUnavailableError as error:
        raise SetupError("the image store at MEDISCAN_BLOB_URL cannot be written") from error


if __name__ == "__main__":
    exit_on_setup_error(main)
