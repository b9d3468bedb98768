"""What audit refuses."""

from __future__ import annotations

from garrison.errors import ConfigurationError, Refusal


class EvidenceIsAppendOnly(Refusal):
    """Somebody tried to change or remove what happened."""

    code = "append_only"
    status = 409
    title = "Security events can be added and never changed or removed"


class AuditKeysUnusable(ConfigurationError):  # noqa: N818 - a state, as in encryption
    """The keys that seal events or sign checkpoints are missing or malformed."""


class CheckpointRefused(Refusal):
    """A checkpoint is not what it claims to be, or cannot be made."""

    code = "checkpoint_refused"
    status = 409
    title = "The checkpoint cannot be believed"


class CursorLost(Refusal):
    """A reader cannot go on from its cursor: what follows it is gone, or is another history."""

    code = "cursor_lost"
    status = 410
    title = "Events behind the cursor cannot be read"


class ReaderOvertaken(Refusal):
    """Two processes read under one name."""

    code = "reader_overtaken"
    status = 409
    title = "Another process reads under this name"
