"""The messages of the wire: the server's own files, wherever they are.

In the repository that is `shared/`. The distribution ships `contracts.py`, `job_state.py` and `names.py` of it as
`mediscan/_shared/` (pyproject.toml, force-include), so there is no second copy that could drift.
"""

from importlib.util import find_spec

#: Type checkers are told that it is false here (pyproject.toml), and see the first branch in an installation.
IS_DISTRIBUTED = find_spec("mediscan._shared") is not None

if IS_DISTRIBUTED:
    from mediscan._shared import contracts, job_state, names
else:
    from shared import contracts, job_state, names

__all__ = ["IS_DISTRIBUTED", "contracts", "job_state", "names"]
