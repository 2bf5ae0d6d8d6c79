"""Stored files never change, and a changed one is noticed."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.artifacts import ArtifactStore
from core.errors import ArtifactCorrupted, InvalidInput, NotFound


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def test_same_bytes_are_kept_once_under_their_hash(store: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    stored = store.put_bytes(b"abc")
    assert stored == store.put_file(source)
    assert stored.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert stored.size_bytes == 3
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == [stored.sha256[2:]]


@given(content=st.binary(max_size=3000))
def test_what_is_stored_comes_back(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    stored = store.put_bytes(content)
    assert store.get_bytes(stored.sha256) == content
    assert store.verified_path(stored.sha256).read_bytes() == content


def test_changed_byte_is_noticed_and_healed_by_the_good_copy(store: ArtifactStore) -> None:
    stored = store.put_bytes(b"model")
    store.path(stored.sha256).write_bytes(b"mod3l")
    for read in (store.get_bytes, store.verified_path):
        with pytest.raises(ArtifactCorrupted, match=f"{stored.sha256[:8]} was changed after it was written"):
            read(stored.sha256)
    store.put_bytes(b"model")
    assert store.get_bytes(stored.sha256) == b"model"


def test_missing_file_and_wrong_hash_are_refused(store: ArtifactStore) -> None:
    for read in (store.get_bytes, store.verified_path):
        with pytest.raises(NotFound, match="stored file 00000000"):
            read("0" * 64)
        with pytest.raises(InvalidInput, match="is not a SHA-256"):
            read("../../etc/passwd")


def test_write_that_breaks_off_leaves_nothing(store: ArtifactStore) -> None:
    def break_off() -> None:
        with store.writer() as (file, _):
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert [path for path in store.folder.rglob("*") if path.is_file()] == []


def age(store: ArtifactStore, sha256: str, hours: float) -> None:
    long_ago = datetime.now(UTC).timestamp() - hours * 3600
    os.utime(store.path(sha256), (long_ago, long_ago))


def test_an_old_file_can_be_removed_and_one_touched_or_put_since_cannot(store: ArtifactStore) -> None:
    yesterday = datetime.now(UTC) - timedelta(hours=24)
    old, touched, again, new = (store.put_bytes(content).sha256 for content in (b"old", b"touched", b"again", b"new"))
    for sha256 in (old, touched, again):
        age(store, sha256, 25)
    assert set(store.stored_before(yesterday)) == {old, touched, again}
    store.touch(touched)
    store.put_bytes(b"again")
    assert {sha256: store.remove(sha256, untouched_since=yesterday) for sha256 in (old, touched, again, new)} == {
        old: 3,
        touched: 0,
        again: 0,
        new: 0,
    }
    assert store.remove(old, untouched_since=yesterday) == 0
    assert [store.get_bytes(sha256) for sha256 in (touched, again, new)] == [b"touched", b"again", b"new"]
    with pytest.raises(NotFound):
        store.touch(old)


def test_bytes_that_are_put_while_their_old_file_goes_are_there(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = store.put_bytes(b"same")
    utime = os.utime

    def swept_first(path: Path) -> None:
        path.unlink()
        monkeypatch.setattr(os, "utime", utime)
        utime(path)

    monkeypatch.setattr(os, "utime", swept_first)
    store.put_bytes(b"same")
    assert store.get_bytes(stored.sha256) == b"same"


def test_what_a_killed_process_left_is_cleared_and_what_it_set_aside_comes_back(store: ArtifactStore) -> None:
    now = datetime.now(UTC)
    stored = store.put_bytes(b"kept")
    store.path(stored.sha256).rename(store.folder / f".swept-{stored.sha256}")
    (store.folder / ".incoming-half").write_bytes(b"half")
    store.clear_left_over(untouched_since=now - timedelta(hours=24))
    assert (store.folder / ".incoming-half").exists()
    store.clear_left_over(untouched_since=now + timedelta(seconds=9))
    assert [path.name for path in store.folder.iterdir()] == ["sha256"]
    assert store.get_bytes(stored.sha256) == b"kept"
