"""The wheel, in an environment of its own with what it asks for and nothing else. Needs no network.

The libraries are those of the tests' environment, linked one by one: whatever the wheel's own list of requirements
leaves out is not there.
"""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.integration.mediscan.shell import ROOT, environment
from tests.support.cluster import Cluster
from tests.support.images import scan

#: Parts of the server, and libraries of the server alone.
_SERVER = {
    "services",
    "shared",
    "embedded",
    "fastapi",
    "starlette",
    "celery",
    "redis",
    "obstore",
    "numpy",
    "PIL",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what is in the tree, as `pip install .` would."""
    target = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
    ]
    subprocess.run([*command, str(target), str(ROOT)], check=True, capture_output=True, timeout=120)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the client."""
    return installed(wheel, tmp_path_factory.mktemp("bare"), extra="")


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the client and the command line."""
    return installed(wheel, tmp_path_factory.mktemp("full"), extra="cli")


def installed(wheel: Path, folder: Path, *, extra: str) -> Path:
    """A fresh environment with the wheel, its requirements, and theirs."""
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=120)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = Distribution.at(next(packages.glob("mediscan-*.dist-info")))
    for needed in closure(ours, extra):
        link(needed, packages)
    return python


def closure(of: Distribution, extra: str = "") -> Iterator[Distribution]:
    """Every distribution that `of` needs, with repetitions."""
    for line in of.requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found = distribution(requirement.name)
            assert requirement.specifier.contains(found.version, prereleases=True)
            yield found
            yield from closure(found)


def link(found: Distribution, packages: Path) -> None:
    """Put a distribution of ours there."""
    for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
        target = packages / top
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(top))))


def run(python: Path, cluster: Cluster, *arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    ours = {name: value for name, value in environment(cluster.url).items() if name != "PYTHONPATH"}
    command = [str(python), "-W", "error", *arguments]
    return subprocess.run(
        command, cwd=folder, env=ours, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_messages_are_the_servers_own_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if not name.startswith("mediscan-")}
        for name in ("contracts", "job_state", "names"):
            assert packed.read(f"mediscan/_shared/{name}.py") == (ROOT / f"shared/{name}.py").read_bytes()
    assert {name.partition("/")[0] for name in names} == {"mediscan"}
    assert "mediscan/py.typed" in names


def test_the_client_alone_reads_an_image(bare: Path, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(scan())
    code = """
import sys
from mediscan import Client, contracts
with Client() as client:
    job = client.analyze("scan.png")
assert type(job) is contracts.JobView
print(job.state, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
    done = run(bare, cluster, "-c", code, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    state, *modules = done.stdout.split()
    assert state == "completed"
    assert _SERVER.isdisjoint(modules)
    assert {"typer", "rich"}.isdisjoint(modules)


def test_without_its_libraries_the_command_says_what_to_install(
    bare: Path, cluster: Cluster, tmp_path: Path
) -> None:
    done = run(bare, cluster, str(bare.with_name("mediscan")), "models", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == 'mediscan: the command line is not installed: pip install "mediscan[cli]"\n'


def test_the_command_line_alone(full: Path, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(scan())
    command = str(full.with_name("mediscan"))
    submitted = run(full, cluster, command, "submit", "--wait", "scan.png", folder=tmp_path)
    assert (submitted.returncode, submitted.stdout.split()[1]) == (0, "completed"), submitted.stderr
    examined = run(full, cluster, command, "doctor", folder=tmp_path)
    assert examined.returncode == 0
    # Nothing of the server is here, so there are no settings to judge.
    assert "settings of" not in examined.stdout
    keys = run(full, cluster, command, "keys", "list", folder=tmp_path)
    assert keys.returncode == 2
    assert keys.stderr.count("\n") == 1
    assert "server's installation" in keys.stderr


def test_a_type_checker_sees_the_types(bare: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from mediscan import Client\n"
        'reveal_type(Client().analyze("scan.png").result)\n'
        'Client().submit("scan.png", priorty="stat")\n'
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-executable", str(bare)]
    said = subprocess.run(
        [*command, program.name], cwd=tmp_path, capture_output=True, text=True, check=False
    ).stdout
    assert 'Revealed type is "mediscan._shared.contracts.FusedResult | None"' in said
    assert 'Unexpected keyword argument "priorty"' in said
    assert "Found 1 error" in said
