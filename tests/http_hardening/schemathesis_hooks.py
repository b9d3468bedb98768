"""What Schemathesis has to know of the API beside its description (``schemathesis.toml``)."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    """Take no cursor where the request is to be valid: it comes from a ``next``, as it is."""
    meta = case.meta
    if meta and meta.generation.mode.is_positive and "cursor" in (case.query or {}):
        del case.query["cursor"]
