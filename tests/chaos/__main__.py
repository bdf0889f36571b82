"""`python -m tests.chaos run`, `soak` and `backlog`; exit status 1 where something must not be."""

import argparse
import random
import sys
from pathlib import Path

from tests.chaos.backlog import BacklogOptions, backlog
from tests.chaos.faults import FAULTS
from tests.chaos.run import Options, run
from tests.chaos.soak import SoakOptions, soak

_OUT = Path("var/chaos")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    chaos = commands.add_parser("run", help="break the cluster while it works, then account for every job")
    chaos.add_argument("--jobs", type=int, default=10_000, help="at least so many are accepted")
    chaos.add_argument("--seed", type=int, help="of the schedule; drawn and printed if not given")
    chaos.add_argument("--rate", type=float, default=40.0, help="jobs submitted a second, at most")
    chaos.add_argument("--faults", default="all", help=f"comma-separated, of: {', '.join(FAULTS)}")
    chaos.add_argument("--mixed-only", action="store_true", help="leave out the part with each fault alone")
    long = commands.add_parser("soak", help="break nothing and watch what grows")
    long.add_argument("--minutes", type=float, default=30.0, help="how long")
    long.add_argument(
        "--load", type=float, default=0.5, help="share of the rate at which the machine saturates"
    )
    long.add_argument("--seed", type=int, default=1, help="of the submissions")
    deep = commands.add_parser("backlog", help="submit more than the workers do, and watch who is refused")
    deep.add_argument("--minutes", type=float, default=5.0, help="how long")
    deep.add_argument("--live", type=int, default=100, help="unfinished jobs that the house takes")
    deep.add_argument("--seed", type=int, default=1, help="of the submissions")
    args = parser.parse_args()
    return {"run": _chaos, "soak": _soak, "backlog": _backlog}[args.command](args)


def _chaos(args: argparse.Namespace) -> int:
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(31)
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    faults = list(FAULTS) if args.faults == "all" else args.faults.split(",")
    report = run(Options(seed, args.jobs, faults, rate=args.rate, has_alone=not args.mixed_only))
    sys.stdout.write(f"{report.text()}{report.save(_OUT)}\n")
    return 1 if report.violations else 0


def _soak(args: argparse.Namespace) -> int:
    report = soak(SoakOptions(args.minutes, args.seed, load=args.load))
    sys.stdout.write(f"{report.text()}{report.save(_OUT)}\n")
    return 1 if report.violations else 0


def _backlog(args: argparse.Namespace) -> int:
    report = backlog(BacklogOptions(args.minutes, args.seed, live=args.live))
    sys.stdout.write(f"{report.text()}{report.save(_OUT)}\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
