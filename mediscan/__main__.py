"""Entry point: `python -m mediscan keys ...`. One line and exit status 1 for what we can explain."""

import sys

import typer

from mediscan import keys
from shared.errors import MediScanError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables could show a secret.
    pretty_exceptions_enable=False,
    help="MediScan from the command line.",
)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Do what the command line says."""
    try:
        app(prog_name="python -m mediscan")
    except MediScanError as error:
        sys.stderr.write(f"mediscan: {error.detail}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
