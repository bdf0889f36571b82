"""Which fault strikes when: drawn from a seed, so that a run can be repeated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

#: Faults strike within this part of the jobs, so that the first and the last ones meet a quiet cluster.
_FROM, _TO = 0.02, 0.9
#: A full schedule has each fault alone in the first part of the jobs, then this many of each at any time.
_ALONE_UNTIL = 0.5
_MIXED_TIMES = 2


@dataclass(frozen=True)
class Planned:
    """One fault to come."""

    #: Strikes once so many jobs were accepted: a slow machine gets the same schedule as a fast one.
    after_jobs: int
    fault: str
    #: Of its own draws, such as how long it lasts.
    seed: int
    #: Nothing else is broken meanwhile.
    is_alone: bool


def plan(seed: int, jobs: int, faults: Sequence[str], *, has_alone: bool) -> list[Planned]:
    """A schedule over `jobs` jobs: each fault once among others, or (`has_alone`) once alone and then twice so."""
    draw = random.Random(f"schedule {seed}")
    planned: list[Planned] = []
    mixed_from = _FROM
    if has_alone:
        order = draw.sample(faults, len(faults))
        step = (_ALONE_UNTIL - _FROM) / len(order)
        planned = [
            Planned(int(jobs * (_FROM + step * place)), fault, draw.getrandbits(32), is_alone=True)
            for place, fault in enumerate(order)
        ]
        mixed_from = _ALONE_UNTIL
    times = _MIXED_TIMES if has_alone else 1
    mixed = [
        Planned(int(jobs * draw.uniform(mixed_from, _TO)), fault, draw.getrandbits(32), is_alone=False)
        for fault in draw.sample(list(faults) * times, len(faults) * times)
    ]
    return planned + sorted(mixed, key=lambda each: each.after_jobs)
