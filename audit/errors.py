"""What audit refuses."""

from __future__ import annotations

from garrison.errors import Refusal


class EvidenceIsAppendOnly(Refusal):
    """Somebody tried to change or remove what happened."""

    code = "append_only"
    status = 409
    title = "Security events can be added and never changed or removed"
