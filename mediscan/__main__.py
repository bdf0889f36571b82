"""Entry point: `python -m mediscan keys ...`, `audit ...`. One line and exit status 1 for what we can explain."""

import sys

import typer

from mediscan import audit, keys
from mediscan.wire import IS_DISTRIBUTED

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show a secret.
    pretty_exceptions_enable=False,
    help="MediScan from the command line.",
)
if not IS_DISTRIBUTED:
    # For operators; the server's code is here.
    app.add_typer(keys.app, name="keys")
    app.add_typer(audit.app, name="audit")


def main() -> None:
    """Do what the command line says."""
    try:
        app(prog_name="python -m mediscan")
    except _explained() as error:
        sys.stderr.write(f"mediscan: {error}\n")
        sys.exit(1)


def _explained() -> tuple[type[Exception], ...]:
    """Errors whose text is for a person."""
    if IS_DISTRIBUTED:
        return ()
    from shared.errors import MediScanError

    return (MediScanError,)


if __name__ == "__main__":
    main()
