"""What the kernel says of processes: processor time, memory, and who started whom."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

#: The first line of a region in `smaps`: addresses, rights, offset, device, inode and, of most, a name.
_REGION = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")
_UNNAMED = 5
_ARENA_BYTES = 64 << 20
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor time of a process in all its threads; 0 if it is gone."""
    total = 0
    for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(schedstat.read_text().split()[0])
        except (OSError, IndexError):  # the thread has ended
            continue
    # The first counts in nanoseconds and only threads that live, the second in hundredths of a second and all.
    return max(total / 1e9, _cpu_of_all_threads_s(pid))


def _cpu_of_all_threads_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def tree(roots: Iterable[int]) -> list[int]:
    """These processes and all that descend from them."""
    children = _children()
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    return children


def private_mib(pid: int) -> float:
    """Proportional set size: memory of its own, and its share of what it shares; 0 if it is gone."""
    return _smaps(pid, "Pss:")


def resident_mib(pid: int) -> float:
    """Resident set size, what is shared counted whole; 0 if it is gone."""
    return _smaps(pid, "Rss:")


def malloc_mib(pid: int) -> float:
    """Resident in the arenas of glibc's malloc, used and kept for later, large blocks left out; 0 if it is gone."""
    total, is_arena = 0, False
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return 0.0
    for line in lines:
        if _REGION.match(line):
            is_arena = _is_arena(line)
        elif is_arena and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total / 1024


def _is_arena(region: str) -> bool:
    """The first is the heap; each other one begins at a multiple of 64 MiB and has no name."""
    addresses, rights, *_ = region.split()
    begin = int(addresses.partition("-")[0], 16)
    is_nameless = len(region.split()) == _UNNAMED
    return region.endswith("[heap]") or (is_nameless and "w" in rights and begin % _ARENA_BYTES == 0)


def _smaps(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def command(pid: int) -> str:
    """The command line, for telling roles apart."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]
