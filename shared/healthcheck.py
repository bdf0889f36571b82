"""`python -m shared.healthcheck <ml|gemini|fusion|reaper>`: exit status 0 if the ledger hears of this machine.

A container's health check. A worker that lives but has lost its queue or its ledger beats no more, so the
heartbeat tells what a look at the process cannot. `docker inspect` shows the line it prints.
"""

import argparse
import socket
import sys

from shared.errors import MediScanError
from shared.ledger import Ledger
from shared.names import Stage
from shared.settings import Settings, load

REAPER = "reaper"


def main() -> None:
    """Look once and exit."""
    parser = argparse.ArgumentParser(prog="python -m shared.healthcheck")
    parser.add_argument("service", choices=[*(stage.value for stage in Stage), REAPER])
    service = parser.parse_args().service
    try:
        ledger = Ledger.open(load(Settings), patience_s=1)
        problem = find_problem(ledger, service, socket.gethostname())
    except MediScanError as error:
        problem = error.detail
    if problem:
        sys.stderr.write(f"mediscan: {problem}\n")
        sys.exit(1)


def find_problem(ledger: Ledger, service: str, host: str) -> str | None:
    """Why `service` on `host` cannot be called healthy, or None; LedgerUnavailableError if nobody can tell.

    Of reapers one is known to be alive or none: they have no names.
    """
    heard = ledger.reaper_alive() if service == REAPER else _heard(ledger, Stage(service), host)
    return None if heard else f"no heartbeat of {service} on this machine within heartbeat_ttl_s"


def _heard(ledger: Ledger, stage: Stage, host: str) -> bool:
    return any(node.startswith(f"{stage}@{host}-") for node in ledger.nodes(stage))


if __name__ == "__main__":
    main()
