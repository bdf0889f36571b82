"""How many requests may wait at once in one gateway process: each holds a connection, so a file descriptor."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import HouseFullError, TooManyError

_RETRY_AFTER_S = 5.0


class WaitSlots:
    """Counts waiting requests on the event loop's one thread, all and by tenant."""

    def __init__(self, most: int, most_of_tenant: int) -> None:
        self._most, self._most_of_tenant = most, most_of_tenant
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one(self, tenant: str) -> Iterator[None]:
        """Hold a slot; TooManyError where the tenant has all of its own, HouseFullError where there is none."""
        if self._taken[tenant] >= self._most_of_tenant:
            said = "As many requests of yours wait here as may; ask without waiting, or when one has ended."
            raise TooManyError(said, code="too_many_waits", retry_after_s=_RETRY_AFTER_S)
        if self._taken.total() >= self._most:
            said = "As many requests wait at this gateway as it can hold; ask without waiting, or later."
            raise HouseFullError(said, code="waits_full", retry_after_s=_RETRY_AFTER_S)
        self._taken[tenant] += 1
        try:
            yield
        finally:
            self._taken[tenant] -= 1
            if not self._taken[tenant]:
                del self._taken[tenant]
