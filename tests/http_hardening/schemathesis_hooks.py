"""What Schemathesis has to know of the API beside its description (``schemathesis.toml``)."""

import unicodedata

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """Take no cursor where the request is to be valid: it comes from a ``next``, as it is."""
    meta = case.meta
    if meta and meta.generation.mode.is_positive and "cursor" in (case.query or {}):
        del case.query["cursor"]


@schemathesis.hook
def filter_body(context, body):
    """Pass over names with characters that this Python's Unicode, older than the tool's, lacks."""
    name = body.get("name") if isinstance(body, dict) else None
    return not isinstance(name, str) or "Cn" not in map(unicodedata.category, name)
