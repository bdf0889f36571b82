"""The same promises from a local folder and from an S3 server: whole objects or none, and one error when away."""

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from shared.blob_store import BlobStore
from shared.errors import BlobMissingError, BlobStoreUnavailableError, SetupError

_BUCKET = "mediscan"
#: Over 5 MiB, so that S3 takes it in parts.
_PART = bytes(range(256)) * 24 * 1024


async def chunks_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def breaks_after(part: bytes, error: Exception) -> AsyncIterator[bytes]:
    yield part
    raise error


@pytest.fixture
def local(tmp_path: Path) -> BlobStore:
    """A store in a folder."""
    return BlobStore.open(f"file://{tmp_path}/blobs")


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of an S3 server of our own, on a port that the system gave it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    httpx.put(f"{url}/{_BUCKET}").raise_for_status()
    yield url
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> BlobStore:
    """A store under a prefix of its own in an S3 bucket."""
    settings = {"ENDPOINT_URL": s3_server, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    keys = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}
    for name, value in {**settings, **keys}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    prefix = hashlib.sha256(request.node.nodeid.encode()).hexdigest()
    return BlobStore.open(f"s3://{_BUCKET}/{prefix}")


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest) -> BlobStore:
    """Each kind of store in turn."""
    opened = request.getfixturevalue(request.param)
    assert isinstance(opened, BlobStore)
    return opened


# --- every store ------------------------------------------------------------------------------------------


def test_what_was_put_is_got(store: BlobStore) -> None:
    store.put("t/2026010100/job.image", b"\x00pixels")

    assert store.get("t/2026010100/job.image") == b"\x00pixels"


def test_putting_again_replaces(store: BlobStore) -> None:
    store.put("t/a", b"longer than the second")
    store.put("t/a", b"second")

    assert store.get("t/a") == b"second"


def test_many_are_put_at_once(store: BlobStore) -> None:
    store.put_all({"a/1": b"one", "a/2": b"two", "b/1": b"three"})

    assert [store.get(path) for path in ("a/1", "a/2", "b/1")] == [b"one", b"two", b"three"]


def test_what_must_be_new_is_stored_once_and_stays(store: BlobStore) -> None:
    assert store.put_new("t/a", b"first")
    assert not store.put_new("t/a", b"second")
    assert (store.get("t/a"), store.paths("t")) == (b"first", ["t/a"])


def test_of_many_who_want_to_be_first_one_is(store: BlobStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda n: store.put_new("t/a", b"%d" % n), range(40)))
    assert won.count(True) == 1
    assert store.get("t/a") == b"%d" % won.index(True)
    assert store.paths("t") == ["t/a"]


def test_a_stream_is_one_object(store: BlobStore) -> None:
    asyncio.run(store.put_stream("t/a", chunks_of(_PART, b"end")))
    store.sync("t/a")

    assert store.get("t/a") == _PART + b"end"


@pytest.mark.parametrize("part", [b"little", _PART * 2], ids=["little", "much"])
@pytest.mark.parametrize("error", [ValueError("cut"), ConnectionResetError("cut"), FileNotFoundError("cut")])
def test_a_stream_that_breaks_leaves_nothing_and_its_error_passes(
    store: BlobStore, part: bytes, error: Exception
) -> None:
    with pytest.raises(type(error), match="cut"):
        asyncio.run(store.put_stream("t/a", breaks_after(part, error)))

    assert store.paths("t") == []


def test_a_missing_object_is_missing(store: BlobStore) -> None:
    with pytest.raises(BlobMissingError):
        store.get("t/none")


def test_an_object_with_the_recorded_checksum_is_got(store: BlobStore) -> None:
    store.put("t/a", b"pixels")

    assert store.get_checked("t/a", hashlib.sha256(b"pixels").hexdigest()) == b"pixels"


def test_an_altered_object_is_refused(store: BlobStore) -> None:
    store.put("t/a", b"other pixels")

    with pytest.raises(BlobMissingError, match="checksum"):
        store.get_checked("t/a", hashlib.sha256(b"pixels").hexdigest())


def test_deleting_removes_and_does_not_mind_what_is_not_there(store: BlobStore) -> None:
    store.put("t/a", b"1")
    store.put("t/b", b"2")

    store.delete("t/none", "t/a")

    assert store.paths("t") == ["t/b"]


def test_folders_and_paths_are_listed(store: BlobStore) -> None:
    for path in ("one/h1/a", "one/h2/b", "two/h1/c"):
        store.put(path, b"x")

    assert store.folders() == ["one", "two"]
    assert store.folders("one") == ["h1", "h2"]
    assert sorted(store.paths("one")) == ["one/h1/a", "one/h2/b"]


def test_an_empty_store_lists_nothing(store: BlobStore) -> None:
    assert (store.folders(), store.paths("t")) == ([], [])


def test_a_working_store_is_writable(store: BlobStore) -> None:
    store.check_writable()


# --- a local folder ---------------------------------------------------------------------------------------


def test_a_broken_stream_leaves_no_file_on_disk(local: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cut"):
        asyncio.run(local.put_stream("t/h/a", breaks_after(_PART * 2, ValueError("cut"))))

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_relative_folder_is_taken_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    BlobStore.open("file://var/blobs").put("t/a", b"1")

    assert (tmp_path / "var/blobs/t/a").read_bytes() == b"1"


@pytest.mark.parametrize("url", ["", "var/blobs", "ftp://host/folder", "s3://"])
def test_an_unusable_url_is_a_setup_error(url: str) -> None:
    with pytest.raises(SetupError, match="MEDISCAN_BLOB_URL"):
        BlobStore.open(url)


def test_a_folder_that_cannot_be_made_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SetupError, match="MEDISCAN_BLOB_URL"):
        BlobStore.open(f"file://{tmp_path}/file/blobs")


def test_a_folder_that_cannot_be_written_is_unavailable(local: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "blobs/t").write_text("in the way")

    with pytest.raises(BlobStoreUnavailableError):
        local.put("t/a", b"1")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, which may be remounted read-only; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_unavailable_and_keeps_nothing_half(small_disk: Path) -> None:
    store = BlobStore.open(f"file://{small_disk}")

    with pytest.raises(BlobStoreUnavailableError):
        store.put("t/a", b"x" * 200_000)

    assert store.paths("t") == []
    store.put("t/b", b"small enough")


def test_a_disk_that_fills_up_under_a_stream_is_unavailable(small_disk: Path) -> None:
    store = BlobStore.open(f"file://{small_disk}")

    with pytest.raises(BlobStoreUnavailableError):
        asyncio.run(store.put_stream("t/a", chunks_of(*[b"x" * 50_000] * 4)))

    assert store.paths("t") == []


def test_a_read_only_disk_is_unavailable_for_writing_and_still_read(small_disk: Path) -> None:
    store = BlobStore.open(f"file://{small_disk}")
    store.put("t/a", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(BlobStoreUnavailableError):
        store.check_writable()
    assert store.get("t/a") == b"1"


# --- S3 ---------------------------------------------------------------------------------------------------


def test_a_missing_bucket_is_an_error_of_the_store(s3: BlobStore) -> None:
    nowhere = BlobStore.open("s3://no-such-bucket/prefix")

    with pytest.raises((BlobStoreUnavailableError, BlobMissingError)):
        nowhere.check_writable()
