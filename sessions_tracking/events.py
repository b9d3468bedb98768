"""What this app says.

Two things are deliberately not events. A rotation is routine, one every quarter of an hour for each
device, and would double the statements of a refresh; the row's counter tells how many there were.
A start is told by whoever authenticated the person (``accounts.login.succeeded``), whose event
carries the new session's id.
"""

from __future__ import annotations

from garrison.events import EventKind, Outcome, Severity

SESSION_ENDED = EventKind(
    "sessions.session.ended",
    Severity.INFO,
    "One session was ended before its time, by its owner, by staff or by the program.",
)
SESSIONS_ENDED = EventKind(
    "sessions.user.signed_out",
    Severity.LOW,
    "Several sessions of one user were ended at once.",
)
SESSION_REAUTHENTICATED = EventKind(
    "sessions.session.reauthenticated",
    Severity.INFO,
    "Somebody proved again who they are, so their session counts as fresh.",
)
REFRESH_REUSED = EventKind(
    "sessions.refresh.reused",
    Severity.HIGH,
    "A refresh token that had been replaced was used again, so its session was ended: either the "
    "old or the new one is in a stranger's hands.",
    Outcome.REFUSED,
)
REFRESH_OUT_OF_STEP = EventKind(
    "sessions.refresh.rejected",
    Severity.MEDIUM,
    "A genuine refresh token was newer than the database knows, as after restoring a backup, so "
    "its session was ended.",
    Outcome.REFUSED,
)
