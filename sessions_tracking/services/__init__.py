"""The verbs of this app: start, refresh, confirm and end sessions."""

from sessions_tracking.services.ending import (
    NOBODY,
    as_uuid,
    clean_sessions,
    end_all_sessions,
    end_session,
    end_sessions,
    end_stolen_session,
)
from sessions_tracking.services.freshness import (
    current_session,
    mark_reauthenticated,
    require_fresh,
    require_fresh_request,
)
from sessions_tracking.services.refreshing import rotate
from sessions_tracking.services.starting import (
    TokenPair,
    start_cookie_session,
    start_token_session,
)

__all__ = [
    "NOBODY",
    "TokenPair",
    "as_uuid",
    "clean_sessions",
    "current_session",
    "end_all_sessions",
    "end_session",
    "end_sessions",
    "end_stolen_session",
    "mark_reauthenticated",
    "require_fresh",
    "require_fresh_request",
    "rotate",
    "start_cookie_session",
    "start_token_session",
]
