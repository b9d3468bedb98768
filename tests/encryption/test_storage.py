"""Encrypted files: streamed, read anywhere, and never one changed byte given out."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, InMemoryStorage, storages
from django.test import override_settings

from encryption import key_users, services
from encryption.errors import DecryptionFailed
from encryption.storage import EncryptedStorage
from encryption.storage.layout import (
    CHUNK_BYTES,
    FILE_HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    sealed_size,
)

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_000]
CHUNKS = 4


@pytest.fixture
def store(tmp_path, keys):
    backend = "django.core.files.storage.FileSystemStorage"
    return EncryptedStorage({"BACKEND": backend, "OPTIONS": {"location": str(tmp_path)}})


def at_rest(store, name):
    """The bytes as they lie in the storage."""
    with store.inner.open(name) as file:
        return file.read()


def in_clear(store, name):
    with store.open(name) as file:
        return file.read()


@pytest.fixture
def saved(store):
    """A file of three full chunks and a bit, and its clear bytes."""
    clear = os.urandom(3 * CHUNK_BYTES + 77)
    return store.save("papers/file.bin", ContentFile(clear)), clear


@pytest.mark.parametrize("size", SIZES)
def test_files_of_every_size_come_back(store, size):
    clear = os.urandom(size)
    name = store.save("a/b.bin", ContentFile(clear))

    assert store.size(name) == size
    assert store.inner.size(name) == sealed_size(size)
    with store.open(name) as opened:
        assert opened.size == size
        assert opened.read() == clear
    if size > 16:
        assert clear[:16] not in at_rest(store, name)


def test_any_range_can_be_read_without_the_rest(saved, store):
    name, clear = saved
    with store.open(name) as opened:
        for start, length in [
            (0, 1),
            (CHUNK_BYTES - 1, 2),
            (100_000, 50_000),
            (3 * CHUNK_BYTES, 77),
        ]:
            opened.seek(start)
            assert opened.tell() == start
            assert opened.read(length) == clear[start : start + length]
        opened.seek(-5, io.SEEK_END)
        assert opened.read() == clear[-5:]
        opened.seek(10**9)
        assert opened.read() == b""


def test_a_range_reads_only_the_chunks_it_needs(saved, store, monkeypatch):
    from encryption.storage.streams import EncryptedFile

    name, clear = saved
    read = []
    original = EncryptedFile._read_stored
    monkeypatch.setattr(
        EncryptedFile,
        "_read_stored",
        lambda self, start, size: read.append(start) or original(self, start, size),
    )
    with store.open(name) as opened:
        opened.seek(CHUNK_BYTES + 5)
        assert opened.read(10) == clear[CHUNK_BYTES + 5 : CHUNK_BYTES + 15]

    chunks = [(start - FILE_HEADER_BYTES) // SEALED_CHUNK_BYTES for start in read[1:]]
    assert chunks == [3, 1], "the last chunk, which proves the size, and the one asked for"


def test_every_byte_of_the_file_is_protected(saved, store):
    name, _ = saved
    path = store.inner.path(name)
    whole = bytearray(Path(path).read_bytes())
    places = [
        *range(FILE_HEADER_BYTES),
        *range(FILE_HEADER_BYTES, len(whole), 4099),
        len(whole) - 1,
    ]
    for place in places:
        whole[place] ^= 1
        Path(path).write_bytes(whole)
        with pytest.raises(DecryptionFailed), store.open(name) as opened:
            opened.read()
        whole[place] ^= 1


def test_cut_grown_reordered_repeated_and_dropped_chunks_are_refused(saved, store):
    name, _ = saved
    path = store.inner.path(name)
    whole = Path(path).read_bytes()
    head, body = whole[:FILE_HEADER_BYTES], whole[FILE_HEADER_BYTES:]
    parts = [body[i : i + SEALED_CHUNK_BYTES] for i in range(0, len(body), SEALED_CHUNK_BYTES)]
    assert len(parts) == CHUNKS
    forged = {
        "cut inside": whole[:-1],
        "cut at a chunk": head + b"".join(parts[:-1]),
        "cut to the header": head,
        "cut in the header": head[:-1],
        "empty": b"",
        "grown": whole + b"\0",
        "grown by a tag": whole + bytes(16),
        "reordered": head + parts[1] + parts[0] + parts[2] + parts[3],
        "repeated": head + parts[0] + parts[0] + parts[2] + parts[3],
        "dropped": head + parts[0] + parts[2] + parts[3],
    }
    for name_of_it, content in forged.items():
        Path(path).write_bytes(content)
        with pytest.raises(DecryptionFailed), store.open(name) as opened:
            opened.read()
            pytest.fail(f"{name_of_it} was read")


def test_a_whole_number_of_chunks_cannot_be_grown_by_an_empty_one(store):
    name = store.save("a.bin", ContentFile(os.urandom(2 * CHUNK_BYTES)))
    path = Path(store.inner.path(name))
    path.write_bytes(path.read_bytes() + bytes(16))

    with pytest.raises(DecryptionFailed):
        store.open(name)
    with pytest.raises(DecryptionFailed):
        store.size(name)


def test_parts_of_two_versions_of_one_file_do_not_fit_together(store):
    name = store.save("a.bin", ContentFile(os.urandom(2 * CHUNK_BYTES)))
    path = Path(store.inner.path(name))
    old = path.read_bytes()
    store.delete(name)
    assert store.save("a.bin", ContentFile(os.urandom(2 * CHUNK_BYTES))) == name
    new = path.read_bytes()
    middle = FILE_HEADER_BYTES + SEALED_CHUNK_BYTES

    for mixed in (old[:FILE_HEADER_BYTES] + new[FILE_HEADER_BYTES:], new[:middle] + old[middle:]):
        path.write_bytes(mixed)
        with pytest.raises(DecryptionFailed), store.open(name) as opened:
            opened.read()


def test_a_storage_that_reads_less_than_it_is_asked_for_is_read_on(saved, store, monkeypatch):
    name, clear = saved
    whole = at_rest(store, name)

    class Slow(io.BytesIO):
        size = len(whole)

        def read(self, size=-1):
            return super().read(min(size, 1000))

    monkeypatch.setattr(store.inner, "open", lambda *_: Slow(whole))
    assert in_clear(store, name) == clear


def test_a_file_under_another_name_is_refused(saved, store):
    name, _ = saved
    other = store.save("other.bin", ContentFile(b"x"))
    os.replace(store.inner.path(name), store.inner.path(other))  # noqa: PTH105

    with pytest.raises(DecryptionFailed, match="moved here from another name"):
        store.open(other)


def test_two_files_of_one_content_have_nothing_in_common(store):
    one, two = (store.save("same.txt", ContentFile(b"the same words")) for _ in range(2))

    assert one != two
    first, second = at_rest(store, one), at_rest(store, two)
    assert first[16:] != second[16:]
    assert first[FILE_HEADER_BYTES:] != second[FILE_HEADER_BYTES:]


def test_a_storage_that_chooses_another_name_gets_the_file_for_that_name(tmp_path, keys):
    class Stubborn(FileSystemStorage):
        def _save(self, name, content):
            return super()._save("chosen.bin" if name == "asked.bin" else name, content)

    store = EncryptedStorage("default")
    store.__class__ = type("S", (EncryptedStorage,), {"inner": Stubborn(tmp_path)})
    name = store.save("asked.bin", ContentFile(b"words"))

    assert in_clear(store, name) == b"words"


def test_storages_that_read_instead_of_taking_chunks_work(keys):
    store = EncryptedStorage({"BACKEND": "django.core.files.storage.InMemoryStorage"})
    clear = os.urandom(100_000)

    name = store.save("m.bin", File(io.BytesIO(clear)))

    assert isinstance(store.inner, InMemoryStorage)
    assert in_clear(store, name) == clear
    from encryption.storage.streams import EncryptingReader

    reader = EncryptingReader(ContentFile(clear), "m2.bin")
    assert reader.size == sealed_size(100_000)
    parts = []
    while part := reader.read(1000):
        parts.append(part)
    assert len(b"".join(parts)) == reader.size
    reader.seek(0)
    assert len(reader.read()) == reader.size


def test_memory_stays_flat_for_a_large_file(store, tmp_path):
    class Zeros(io.RawIOBase):
        left = 64 * 1024 * 1024

        def readable(self):
            return True

        def seekable(self):
            return False

        def read(self, size=-1):
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    tracemalloc.start()
    name = store.save("big.bin", File(Zeros()))
    with store.open(name) as opened:
        total = 0
        while part := opened.read(CHUNK_BYTES):
            total += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert total == 64 * 1024 * 1024
    assert peak < 8 * 1024 * 1024


def test_no_address_and_no_writing_in_place(saved, store):
    name, _ = saved
    with pytest.raises(ValueError, match="no address"):
        store.url(name)
    with pytest.raises(ValueError, match="save"):
        store.open(name, "wb")
    assert store.exists(name)
    assert store.listdir("papers") == ([], ["file.bin"])
    assert store.get_modified_time(name)
    store.delete(name)
    assert not store.exists(name)


@pytest.mark.django_db
def test_files_follow_a_rotation_and_keep_an_old_key_from_being_retired(tmp_path, keys, settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "papers": {
            "BACKEND": "encryption.storage.EncryptedStorage",
            "OPTIONS": {
                "storage": {
                    "BACKEND": "django.core.files.storage.FileSystemStorage",
                    "OPTIONS": {"location": str(tmp_path)},
                }
            },
        },
    }
    store = storages["papers"]
    names = [store.save(f"d/{n}.bin", ContentFile(f"file {n}".encode())) for n in range(3)]
    keys("k2", "k1")
    assert [
        why for why in key_users.reasons("k1") if why.startswith("3 files in STORAGES['papers']")
    ]

    assert services.rotate_files().rewritten == 3

    assert services.rotate_files().seen == 0
    assert not [why for why in key_users.reasons("k1") if "files" in why]
    keys("k2")
    assert [in_clear(store, name) for name in names] == [b"file 0", b"file 1", b"file 2"]


@pytest.mark.django_db
def test_a_rotation_of_files_that_was_killed_goes_on_and_one_bad_file_stops_no_other(store, keys):
    good, bad = (store.save(f"{n}.bin", ContentFile(b"x" * 100)) for n in ("good", "bad"))
    folder = Path(store.inner.path(good)).parent
    (folder / ".good.bin.rotating").write_bytes((folder / "good.bin").read_bytes())  # of a kill
    damaged = bytearray((folder / "bad.bin").read_bytes())
    damaged[20] ^= 1
    (folder / "bad.bin").write_bytes(damaged)
    keys("k2", "k1")

    tally = store.rotate()

    assert (tally.seen, tally.rewritten, tally.unreadable) == (2, 1, 1)
    assert sorted(store.names()) == ["bad.bin", "good.bin"]
    assert (store.key_id(good), store.key_id(bad)) == ("k2", "k1")
    assert in_clear(store, good) == b"x" * 100
    assert sorted(path.name for path in folder.iterdir()) == ["bad.bin", "good.bin"]


def test_a_file_deleted_or_replaced_while_it_is_rotated_stays_so(store, keys, monkeypatch):
    from encryption.storage import rotation

    names = [store.save(f"{n}.bin", ContentFile(n.encode())) for n in ("gone", "new")]
    keys("k2", "k1")
    copy = rotation.shutil.copyfileobj

    def changed_meanwhile(source, *others):
        copy(source, *others)
        name = Path(source.name).name
        store.delete(name)
        if name == "new.bin":
            store.save(name, ContentFile(b"newer"))

    monkeypatch.setattr(rotation.shutil, "copyfileobj", changed_meanwhile)
    assert store.rotate().rewritten == 0

    assert not store.exists(names[0])
    assert in_clear(store, names[1]) == b"newer"
    assert sorted(store.names()) == ["new.bin"]


def test_objects_are_overwritten_where_the_storage_does_so_in_one_step(keys):
    class Bucket(InMemoryStorage):
        """Overwrites, has no paths."""

        def get_available_name(self, name, max_length=None):
            return name

        def _save(self, name, content):
            self.delete(name)
            return super()._save(name, content)

    bucket = Bucket()
    store = EncryptedStorage("default")
    store.__class__ = type("S", (EncryptedStorage,), {"inner": bucket})
    name = store.save("a.bin", ContentFile(b"words"))
    keys("k2", "k1")

    assert store.rotate().rewritten == 1

    assert store.key_id(name) == "k2"
    assert in_clear(store, name) == b"words"
    bucket.get_available_name = lambda name, *_: f"other-{name}"
    keys("k3", "k2")
    with pytest.raises(OSError, match="AWS_S3_FILE_OVERWRITE"):
        store.rotate()


def test_a_file_of_a_missing_key_names_the_key(saved, store, keys):
    name, _ = saved
    keys("k2")
    with pytest.raises(DecryptionFailed, match="'k1'"):
        store.open(name)


@override_settings(STORAGES={"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}})
def test_a_storage_can_be_named_by_its_alias(keys):
    store = EncryptedStorage("default")
    name = store.save("x", ContentFile(b"y"))
    assert storages["default"].exists(name)
    assert store.deconstruct()[0] == "encryption.storage.EncryptedStorage"
