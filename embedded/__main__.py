"""Entry point: `python -m embedded demo [--image FILE]`, `run`, `dead-letters`; `processes` serves the first two."""

import argparse
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from embedded.cluster import dead_letters, run_processes, running
from embedded.demo import DemoError, demo, say, step
from embedded.layout import Layout, layout
from embedded.phantom import draw_phantom
from embedded.settings import EmbeddedSettings
from shared.errors import SetupError

_DEFAULT_PORT = 8000
_PHANTOM_NOTE = "brain-like phantom with a lesion, drawn by code: no patient, no scanner, and no MRI"


def main() -> int:
    """Do what the command line says; the exit status."""
    options = _options()
    # A supervisor's SIGTERM ends us as Ctrl-C does: through the `finally` that stops the cluster.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        settings = _settings()
        if options.command == "processes":
            return run_processes(layout(settings, port=settings.port or 0))
        if options.command == "run":
            port = _DEFAULT_PORT if settings.port is None else settings.port
            return _run(layout(settings, port=port))
        if options.command == "dead-letters":
            return dead_letters(layout(settings, port=0))
        return _demo(layout(settings, port=settings.port or 0), options.image)
    except (SetupError, DemoError) as error:
        sys.stderr.write(f"mediscan: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    parser.add_argument("command", choices=("demo", "run", "dead-letters", "processes"))
    parser.add_argument("--image", type=Path, help="demo: your own PNG or JPEG instead of the phantom")
    return parser.parse_args()


def _settings() -> EmbeddedSettings:
    try:
        return EmbeddedSettings()
    except ValidationError as error:
        first = error.errors()[0]
        raise SetupError(f"MEDISCAN_{str(first['loc'][0]).upper()}: {first['msg']}") from error


def _demo(cluster: Layout, image: Path | None) -> int:
    if image is not None and not image.is_file():
        raise DemoError(f"there is no file {image}")
    note = _PHANTOM_NOTE if image is None else str(image)
    shown = image or draw_phantom(cluster.var / "demo" / "phantom.png")
    step("starting " + ", ".join(cluster.commands))
    with running(cluster, step) as up:
        step(f"ready at {up.url}")
        demo(up.url, shown, cluster.var / "demo" / "heatmap.png", note=note)
        step("stopping")
    step("every process has stopped")
    return 0


def _run(cluster: Layout) -> int:
    phantom = draw_phantom(cluster.var / "demo" / "phantom.png")
    with running(cluster, step) as up:
        say(f"MediScan is up at {up.url} (interactive API: {up.url}/docs)")
        say(f"Logs: {cluster.log}. Ctrl-C stops everything. Try:\n")
        say(f"  curl -sS -F image=@{phantom} {up.url}/v1/jobs\n")
        try:
            up.wait()
        except KeyboardInterrupt:
            say("stopping")
    say("every process has stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
