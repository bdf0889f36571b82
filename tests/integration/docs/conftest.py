"""What a reader of a page has before him: a checkout, and the folder he stands in."""

import sys
from pathlib import Path

import pytest

from embedded.phantom import draw_phantom

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder that looks like a checkout to commands, and may be written to."""
    for name in ("embedded", "mediscan", "services", "shared", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    draw_phantom(tmp_path / "var" / "demo" / "phantom.png")
    return tmp_path
