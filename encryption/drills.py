"""What a restore drill checks of encryption: samples of every field open in the restored copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from encryption.errors import DecryptionFailed, SubjectErased
from encryption.fields.rows import as_row
from encryption.rotation import Ciphertext, all_fields
from garrison import drills
from garrison.drills import DrillResult

if TYPE_CHECKING:
    from encryption.fields import Encrypted
    from garrison.drills import Restored

SAMPLES_PER_END = 10  # the first and the last rows of each field


@drills.register("encryption")
def samples_decrypt(restored: Restored) -> DrillResult:
    """Open the first and the last values of each field; an erased person's are whole as they are.

    Opened by the cipher alone: a drill writes nothing outside the copy, and so emits no event.
    """
    looked_at, broken = 0, []
    for field in all_fields():
        for envelope, row in _samples(field, restored.using):
            looked_at += 1
            try:
                field.cipher.open(envelope, row)
            except SubjectErased:
                continue
            except DecryptionFailed as failure:
                broken.append(f"{field.place} ({failure.reason}, key {failure.key_id!r})")
    if broken:
        places = ", ".join(sorted(set(broken)))
        return DrillResult(False, looked_at, f"{len(broken)} samples do not decrypt: {places}.")
    return DrillResult(True, looked_at, f"{looked_at} samples of encrypted fields decrypt.")


def _samples(field: Encrypted[Any, Any], using: str) -> list[tuple[bytes, bytes]]:
    identity = field.identity().attname
    rows = (
        field.model._base_manager.using(using)
        .filter(**{f"{field.name}__isnull": False})
        .annotate(envelope=Ciphertext(field.name))
        .values("envelope", identity)
    )
    chosen = {
        row[identity]: bytes(row["envelope"])
        for order in ("pk", "-pk")
        for row in rows.order_by(order)[:SAMPLES_PER_END]
    }
    return [(envelope, as_row(key) or b"") for key, envelope in chosen.items()]
