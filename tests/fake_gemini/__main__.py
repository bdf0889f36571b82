"""`python -m tests.fake_gemini`: prints its base URL, then serves until interrupted."""

import argparse
import signal

from tests.fake_gemini import Behaviour, FakeGemini, Kind


def main() -> None:
    """Serve on the given port, 0 for any, with one behaviour; more through `PUT /_behaviour`."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_gemini", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--behaviour", type=Kind, choices=list(Kind), default=Kind.ANSWER)
    arguments = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the server's thread starts, or that thread would be the one to receive them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with FakeGemini(arguments.port) as fake:
        fake.behave(Behaviour(arguments.behaviour))
        print(fake.base_url, flush=True)  # noqa: T201 - for whoever started it
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
