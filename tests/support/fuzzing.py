"""How long the fuzz tests search: the same few examples each time in `make test`, very many new ones in `make fuzz`."""

import os
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, settings

#: How many times as many examples as usual; more than 1 also makes every run another one.
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


Test = TypeVar("Test", bound=Callable[..., None])


def searching(examples: int) -> Callable[[Test], Test]:
    """Decorator: try this many examples, or `FUZZ_TIMES` as many. No deadline: machines are shared."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )
