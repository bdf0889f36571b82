"""A stranger's zip: what is read of it, what is refused, and that nothing in it can make us read without end."""

import zipfile
from pathlib import Path

import pytest

from services.gateway.batch_archive import BatchArchive
from shared.blob_store import BlobStore
from shared.errors import CallerError
from tests.support import zips

FILES = {"a.png": b"first" * 100, "deep/../../b.png": b"second", "/etc/c.png": b"third"}
_LIMIT = 1 << 20


def opened(folder: Path, data: bytes, **limits: int) -> BatchArchive:
    blobs = BlobStore.open(f"file://{folder}")
    blobs.put("t/archive", data)
    return BatchArchive(blobs, "t/archive", **{"max_items": 10, "max_bytes": _LIMIT, **limits})


def contents(archive: BatchArchive, max_bytes: int = _LIMIT) -> list[bytes | str]:
    """Of each entry its bytes, or the code with which it is refused."""
    found: list[bytes | str] = []
    for entry in archive.entries:
        try:
            found.append(b"".join(archive.unpacked(entry, max_bytes)))
        except CallerError as error:
            found.append(error.code)
    return found


@pytest.mark.parametrize(
    "data",
    [zips.zipped(FILES), zips.zipped(FILES, zipfile.ZIP_STORED), zips.with_zip64(FILES)],
    ids=["deflated", "stored", "zip64"],
)
def test_files_come_in_the_order_of_the_directory_whatever_their_names_are(
    tmp_path: Path, data: bytes
) -> None:
    with opened(tmp_path, data) as archive:
        assert contents(archive) == list(FILES.values())
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["archive"]


def test_folders_and_what_a_mac_adds_are_no_items(tmp_path: Path) -> None:
    data = zips.zipped({"slices/": b"", "slices/a.png": b"a", "__MACOSX/slices/._a.png": b"x"})
    with opened(tmp_path, data) as archive:
        assert contents(archive) == [b"a"]


def test_the_same_name_twice_is_two_files(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zips.zipped([("a.png", b"one"), ("a.png", b"two")])
    with opened(tmp_path, data) as archive:
        assert contents(archive) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"flags": 1}, "archive_entry_encrypted"),
        ({"crc": 7}, "archive_entry_damaged"),
        ({"method": zipfile.ZIP_BZIP2}, "archive_entry_packed"),
        ({"method": zipfile.ZIP_STORED}, "archive_entry_damaged"),
        ({"method": 99}, "archive_entry_packed"),
    ],
)
def test_what_is_wrong_with_one_file_refuses_that_one(
    tmp_path: Path, changed: dict[str, int], code: str
) -> None:
    with opened(tmp_path, zips.patched(zips.zipped(FILES), 1, **changed)) as archive:
        assert contents(archive) == [FILES["a.png"], code, b"third"]


def test_a_bomb_is_unpacked_up_to_the_limit_of_one_image(tmp_path: Path) -> None:
    data = zips.zipped({"bomb.png": bytes(50 << 20), "good.png": b"good"})
    assert len(data) < 100_000
    with opened(tmp_path, data, max_bytes=100 << 20) as archive:
        assert contents(archive, max_bytes=1 << 20) == ["image_too_large", b"good"]


def test_all_files_together_are_bounded_too(tmp_path: Path) -> None:
    data = zips.zipped({f"{number}.png": bytes(400_000) for number in range(4)})
    with opened(tmp_path, data, max_bytes=1_000_000) as archive:
        assert contents(archive)[2:] == ["archive_too_large"] * 2
        assert [len(one) for one in contents(opened(tmp_path, data, max_bytes=1_000_000))[:2]] == [
            400_000
        ] * 2


def test_entries_over_the_same_bytes_do_not_multiply(tmp_path: Path) -> None:
    data = zips.overlapping(bytes(400_000), 9)
    with opened(tmp_path, data, max_bytes=1_000_000) as archive:
        found = contents(archive)
    assert sum(len(one) for one in found if isinstance(one, bytes)) <= 1_000_000
    assert {one for one in found if isinstance(one, str)} <= {"archive_too_large", "archive_entry_damaged"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no zip", "bad_archive"),
        (zips.zipped(FILES)[:-30], "bad_archive"),
        (zips.huge_directory(4 << 20), "bad_archive"),
        (zips.zipped({}), "empty_batch"),
        (zips.zipped({"folder/": b""}), "empty_batch"),
        (zips.zipped({f"{number}": b"x" for number in range(11)}), "too_many_items"),
    ],
    ids=["no zip", "cut off", "huge directory", "empty", "a folder alone", "too many"],
)
def test_what_is_wrong_with_the_whole_refuses_it(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(CallerError) as refused:
        opened(tmp_path, data)
    assert refused.value.code == code
