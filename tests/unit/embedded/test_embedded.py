"""The demo's picture, and the layout of the embedded cluster."""

from pathlib import Path

import pytest
from PIL import Image

from embedded.layout import layout
from embedded.phantom import draw_phantom
from embedded.settings import EmbeddedSettings


def test_the_phantom_is_the_same_each_time_and_has_a_bright_lesion(tmp_path: Path) -> None:
    first, second = draw_phantom(tmp_path / "a.png"), draw_phantom(tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as image:
        assert (image.mode, image.size) == ("L", (512, 512))
        lesion, tissue = (
            image.crop((330, 155, 345, 170)).tobytes(),
            image.crop((150, 250, 165, 265)).tobytes(),
        )
        assert min(lesion) > max(tissue) + 50


def test_everything_is_started_by_default(tmp_path: Path) -> None:
    cluster = layout(EmbeddedSettings(var_dir=tmp_path), port=0)
    assert list(cluster.commands) == [
        "ledger",
        "broker",
        "gateway",
        "ml_worker",
        "gemini_worker",
        "fusion",
        "reaper",
    ]
    assert cluster.environment["MEDISCAN_GEMINI_ENABLED"] == "false"


def test_a_redis_of_ones_own_is_used_and_none_is_started(tmp_path: Path) -> None:
    settings = EmbeddedSettings(var_dir=tmp_path, redis_url="redis://r/0", broker_url="redis://b/0")
    cluster = layout(settings, port=0)
    assert not {"ledger", "broker"} & set(cluster.commands)
    assert cluster.environment["MEDISCAN_REDIS_URL"] == "redis://r/0"


def test_a_key_asks_gemini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDISCAN_GEMINI_API_KEY", "test-key")
    cluster = layout(EmbeddedSettings(var_dir=tmp_path), port=0)
    assert cluster.environment["MEDISCAN_GEMINI_ENABLED"] == "true"
    assert "test-key" not in str(cluster)


def test_a_deep_folder_still_gets_a_short_socket_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    cluster = layout(EmbeddedSettings(var_dir=deep), port=0)
    socket = cluster.environment["MEDISCAN_REDIS_URL"].removeprefix("unix://")
    assert len(socket) <= 107
