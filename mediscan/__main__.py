"""Entry point: `mediscan`, or `python -m mediscan` in a checkout."""

import sys

_NEEDED = frozenset({"typer", "rich"})


def main() -> None:
    """Do what the command line says; exit statuses are in `mediscan/cli/exits.py`."""
    try:
        from mediscan.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name not in _NEEDED:
            raise
        sys.stderr.write('mediscan: the command line is not installed: pip install "mediscan[cli]"\n')
        sys.exit(2)
    is_module = sys.argv[0].endswith("__main__.py")
    app(prog_name="python -m mediscan" if is_module else "mediscan")


if __name__ == "__main__":
    main()
