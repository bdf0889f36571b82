"""Builds the ledger's Lua scripts: generated tables and knobs, then the prelude, then one script.

The transition tables come from `shared/job_state.py`, so Redis enforces exactly the table that is tested.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from shared.job_state import JOB_TRANSITIONS, SETTLED, STAGE_TRANSITIONS, TERMINAL
from shared.names import Key
from shared.settings import Settings
from shared.token_bucket import LIBRARY

#: Messages published this close together may be claimed in either order without one being lost.
REORDER_SLACK_S = 2.0
#: Ended jobs are counted by windows of this length, and this many of them are kept: a minute and the one under way.
DRAIN_WINDOW_S, DRAIN_WINDOWS = 10, 7
#: A finished job not archived by then is archived by the reaper.
_ARCHIVE_AFTER_S = 5.0

_KNOBS = (
    "job_deadline_s",
    "gemini_grace_s",
    "ml_lease_s",
    "gemini_lease_s",
    "fusion_lease_s",
    "max_deliveries",
    "republish_after_s",
    "retry_pause_s",
)


#: Those that decide about new jobs; they know the limits.
_LIMITED = ("admit", "create")

#: What is accepted must end although memory is full: these may go over the server's `maxmemory`.
_ALWAYS = "#!lua flags=allow-oom"
#: Refused at once, before it reads, by a server that is full, read-only or cannot save.
_ONLY_IF_WRITABLE = "#!lua"
#: Refused at its first write: a repeated `create` finds its job even then.
_READS_FIRST = ""

#: One command that is carried out even above `maxmemory`: small, and work hangs on it. KEYS: its key; ARGV: itself.
INSIST = f"{_ALWAYS}\nreturn redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"

#: HGETALL as a script: what is told of it may have to reach replicas first.
WHOLE_HASH = "#!lua flags=no-writes\nreturn redis.call('HGETALL', KEYS[1])"

#: Let an alias stand for something unless it does already. KEYS: the alias; ARGV: id, fingerprint, milliseconds.
NAME_ONCE = f"""{_ONLY_IF_WRITABLE}
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'job', ARGV[1], 'fingerprint', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('HMGET', KEYS[1], 'job', 'fingerprint')"""


def build(name: str, settings: Settings) -> str:
    """The complete text of script `name`, with this service's settings in it."""
    limits = (LIBRARY, _read("limits")) if name in _LIMITED else ()
    return "\n".join((_header(name), _tables(), _knobs(settings), _read("prelude"), *limits, _read(name)))


def _header(name: str) -> str:
    return {"admit": _ONLY_IF_WRITABLE, "create": _READS_FIRST}.get(name, _ALWAYS)


@cache
def _read(name: str) -> str:
    return files("shared.ledger").joinpath("lua", f"{name}.lua").read_text()


def _tables() -> str:
    return "\n".join(
        (
            f"local JOB = {lua_table(JOB_TRANSITIONS)}",
            f"local STAGE = {lua_table(STAGE_TRANSITIONS)}",
            f"local TERMINAL = {_lua_set(TERMINAL)}",
            f"local SETTLED = {_lua_set(SETTLED)}",
            f"local CHANGES = '{Key.CHANGES}'",
            f"local WORK = '{Key.WORK}'",
            f"local DRAIN = {{window_s = {DRAIN_WINDOW_S}, kept = {DRAIN_WINDOWS}}}",
        ),
    )


def _knobs(settings: Settings) -> str:
    values = {name: getattr(settings, name) for name in _KNOBS}
    values |= {"reorder_slack_s": REORDER_SLACK_S, "archive_after_s": _ARCHIVE_AFTER_S}
    return f"local KNOB = {{{', '.join(f'{name} = {value}' for name, value in values.items())}}}"


def lua_table(table: Mapping[Any, frozenset[Any]]) -> str:
    """A table of transitions as Lua writes it."""
    return "{" + ", ".join(f"{state} = {_lua_set(after)}" for state, after in table.items()) + "}"


def _lua_set(members: frozenset[Any]) -> str:
    return "{" + ", ".join(f"{member} = true" for member in sorted(members)) + "}"
