"""The way back: age → gzip → out, refusing anything but exactly the expected bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pyrage
from isal import isal_zlib

from backups.errors import BackupDamaged, IdentityWrong
from backups.pipeline.streams import BLOCK, GZIP, Sealed, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyrage import x25519

    from backups.pipeline.streams import Readable, Writable

Failure = TypeVar("Failure", bound=BaseException)


class _TalliedInput:
    """Sealed bytes on their way in, tallied."""

    def __init__(self, source: Readable) -> None:
        self.tally = Tally()
        self.failure: BaseException | None = None
        self._source = source

    def read(self, size: int = BLOCK) -> bytes:
        """Return and count."""
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
        if self.failure is not None:  # the library empties its buffer once more after a failure
            raise self.failure
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
        # Raised for a bad chunk, and for whatever our own ends raised; the caller knows those.
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
    incoming, inflating = _TalliedInput(source), _Inflating(out)
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
