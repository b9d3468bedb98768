"""The streaming pipeline: source → gzip → age → writers, and back.

Nothing is ever whole in memory or in plain text on disk. Sealing runs in two threads, joined by a
queue of a few blocks: one reads and compresses, one encrypts and writes; both spend their time in C
and Rust, outside the interpreter's lock.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

import pyrage
from isal import isal_zlib

from backups.errors import BackupDamaged, IdentityWrong
from backups.processes import be_nice_here

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyrage import x25519

    from backups.keys import Recipients

BLOCK = 1024 * 1024
QUEUED_BLOCKS = 4
HANDED_OVER = 128 * 1024
READ = 256 * 1024
GZIP = 31  # zlib's name for the gzip container with the widest window
LEVEL = 1  # 444 MB/s against 53 for the stdlib, and a smaller result than gzip's own -6 on dumps


Failure = TypeVar("Failure", bound=BaseException)


class Readable(Protocol):
    """A source of bytes; the empty answer is the end, and only a whole source gives it."""

    def read(self, size: int, /) -> bytes:
        """Give at most ``size`` bytes."""


class Writable(Protocol):
    """A place where bytes go; it takes them all or raises."""

    def write(self, chunk: bytes, /) -> object:
        """Take the chunk."""


@dataclass(slots=True)
class Tally:
    """Count and hash what passes."""

    size: int = 0
    _hash: object = field(default_factory=hashlib.sha256)

    def add(self, chunk: bytes) -> None:
        """Count the chunk in."""
        self.size += len(chunk)
        self._hash.update(chunk)  # type: ignore[attr-defined]  # hashlib's type has no public name

    @property
    def sha256(self) -> str:
        """Give the hash of all so far, as hexadecimal digits."""
        return str(self._hash.hexdigest())  # type: ignore[attr-defined]  # the same


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a part is: as it lies on a target, and as it was before."""

    sha256: str
    size: int
    raw_sha256: str
    raw_size: int


class Throttle:
    """Lets so many bytes pass in a second; 0 is no limit."""

    def __init__(self, bytes_per_second: int) -> None:
        """Begin now."""
        self._rate = bytes_per_second
        self._ready_at = time.monotonic()

    def wait_for(self, size: int) -> None:
        """Sleep until the bytes may pass; idle time is not saved up."""
        if not self._rate:
            return
        now = time.monotonic()
        if self._ready_at > now:
            time.sleep(self._ready_at - now)
        self._ready_at = max(now, self._ready_at) + size / self._rate


class _Compressing:
    """Reads and compresses in a thread of its own; read from it what is compressed."""

    def __init__(self, source: Readable, on_progress: Callable[[int], None]) -> None:
        self.raw = Tally()
        self.failure: BaseException | None = None
        self._source = source
        self._on_progress = on_progress
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUED_BLOCKS)
        self._left = threading.Event()
        self._rest = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        be_nice_here()
        try:
            self._compress()
        except BaseException as failure:  # noqa: BLE001 - carried to the thread that reads
            self.failure = failure
        self._put(None)

    def _compress(self) -> None:
        stream, gathered = isal_zlib.compressobj(LEVEL, wbits=GZIP), bytearray()
        while (chunk := self._source.read(READ)) and not self._left.is_set():
            self.raw.add(chunk)
            gathered += stream.compress(chunk)
            if len(gathered) >= HANDED_OVER:  # few, large handovers: each wakes another thread
                self._put(bytes(gathered))
                gathered.clear()
            self._on_progress(self.raw.size)
        self._put(bytes(gathered) + stream.flush())

    def _put(self, block: bytes | None) -> None:
        is_put = block == b""
        while not is_put and not self._left.is_set():
            try:
                self._queue.put(block, timeout=0.2)
                is_put = True
            except queue.Full:
                continue

    def read(self, size: int) -> bytes:
        """Give what is compressed; the end comes only if the source ended well."""
        if not self._rest:
            block = self._queue.get()
            if block is None:
                self._queue.put(None)  # asked again, the answer is the same
                if self.failure is not None:
                    raise self.failure
                return b""
            self._rest = block
        out, self._rest = self._rest[:size], self._rest[size:]
        return out

    def leave(self) -> None:
        """Stop the thread, wherever it is, and wait for it."""
        self._left.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()


class _Outlet:
    """Where sealed bytes go: tallied, throttled, written; the first failure is kept."""

    def __init__(self, out: Writable, throttle: Throttle) -> None:
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._out = out
        self._throttle = throttle

    def write(self, chunk: bytes) -> int:
        """Pass the chunk on."""
        try:
            self._throttle.wait_for(len(chunk))
            self._out.write(chunk)
        except BaseException as failure:
            self.failure = failure
            raise
        self.tally.add(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Nothing is held back here."""


def seal(
    *,
    source: Readable,
    out: Writable,
    recipients: Recipients,
    throttle: Throttle | None = None,
    on_progress: Callable[[int], None] = lambda _size: None,
) -> Sealed:
    """Compress and encrypt all of the source into ``out``.

    Whatever the source, the library or ``out`` raises is raised here, and then what ``out`` took is
    no whole part: it must be thrown away. Without recipients (plain text by explicit setting) the
    bytes are compressed only.
    """
    compressing = _Compressing(source, on_progress)
    outlet = _Outlet(out, throttle or Throttle(0))
    try:
        if recipients:
            pyrage.encrypt_io(compressing, outlet, recipients.keys)
        else:
            while block := compressing.read(BLOCK):
                outlet.write(block)
    except BaseException as failure:  # noqa: BLE001 - raised again, with its cause
        # The library wraps what our ends raise; the cause tells what happened.
        raise (compressing.failure or outlet.failure or failure) from None
    finally:
        compressing.leave()
    if compressing.failure is not None:
        raise compressing.failure
    raw = compressing.raw
    return Sealed(outlet.tally.sha256, outlet.tally.size, raw.sha256, raw.size)


class _Incoming:
    """Sealed bytes on their way in, tallied."""

    def __init__(self, source: Readable) -> None:
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._source = source

    def read(self, size: int = BLOCK) -> bytes:
        """Give and count."""
        try:
            chunk = self._source.read(size)
        except BaseException as failure:
            self.failure = failure
            raise
        self.tally.add(chunk)
        return chunk


class _Inflating:
    """Decompressed bytes on their way out, tallied; no step makes more than one block."""

    def __init__(self, out: Writable) -> None:
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._out = out
        self._stream = isal_zlib.decompressobj(wbits=GZIP)

    def write(self, chunk: bytes) -> int:
        """Inflate the chunk and pass it on in blocks."""
        size = len(chunk)
        try:
            self._inflate(bytes(chunk))
        except isal_zlib.error:  # type: ignore[misc]  # the module has no types
            raise self._keep(BackupDamaged("A part is not a whole gzip stream.")) from None
        except BaseException as failure:  # noqa: BLE001 - raised again, with its cause
            raise self._keep(failure) from None
        return size

    def _keep(self, failure: Failure) -> Failure:
        self.failure = failure
        return failure

    def _inflate(self, chunk: bytes) -> None:
        while chunk:
            if self._stream.eof:
                raise BackupDamaged("A part goes on after the end of its gzip stream.")
            raw = self._stream.decompress(chunk, BLOCK)
            chunk = self._stream.unconsumed_tail or self._stream.unused_data
            self._pass_on(raw)
            while len(raw) == BLOCK and not self._stream.eof and not chunk:
                raw = self._stream.decompress(b"", BLOCK)
                self._pass_on(raw)

    def _pass_on(self, raw: bytes) -> None:
        if raw:
            self.tally.add(raw)
            self._out.write(raw)

    def flush(self) -> None:
        """Nothing is held back here."""

    def require_end(self) -> None:
        """Refuse a stream that was cut off."""
        if not self._stream.eof:
            raise BackupDamaged("A part ends before its gzip stream does.")


def decrypt(*, source: Readable, out: Writable, identities: Sequence[x25519.Identity]) -> None:
    """Decrypt all of the source; a wrong identity and damage are told apart."""
    try:
        pyrage.decrypt_io(source, out, list(identities))
    except pyrage.DecryptError as failure:
        if "No matching keys found" in str(failure):
            raise IdentityWrong(
                "None of the identities at hand opens this backup. It was encrypted to other "
                "recipients; `manage.py backup_list` shows which."
            ) from None
        raise BackupDamaged(f"A part cannot be decrypted: {failure}") from None
    except OSError as failure:
        # Told of a bad chunk, and of whatever our own ends raised; the caller knows those.
        raise BackupDamaged(f"A part cannot be decrypted: {failure}") from None


def unseal(
    *,
    source: Readable,
    out: Writable,
    identities: Sequence[x25519.Identity],
    expected: Sealed,
    encrypted: bool = True,
) -> None:
    """Decrypt and decompress into ``out``, and refuse anything but exactly the expected bytes.

    A difference may show only at the end, when ``out`` has taken the bytes: whoever calls must be
    able to throw them away (verify first, or hold a transaction open).
    """
    incoming, inflating = _Incoming(source), _Inflating(out)
    try:
        if encrypted:
            decrypt(source=incoming, out=inflating, identities=identities)
        else:
            while chunk := incoming.read(BLOCK):
                inflating.write(chunk)
    except IdentityWrong:
        raise
    except BaseException as failure:  # noqa: BLE001 - raised again, with its cause
        raise (incoming.failure or inflating.failure or failure) from None
    while incoming.read(BLOCK):  # whatever stands behind the end counts, too
        pass
    inflating.require_end()
    found = Sealed(
        incoming.tally.sha256, incoming.tally.size, inflating.tally.sha256, inflating.tally.size
    )
    if found != expected:
        raise BackupDamaged(
            f"A part of {found.size} bytes is not the one that the manifest names "
            f"({expected.size} bytes): its hash differs."
        )


class Nowhere:
    """Takes everything and keeps nothing; for verification."""

    def write(self, chunk: bytes) -> int:
        """Take it."""
        return len(chunk)
