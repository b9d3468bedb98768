"""Sessions: one row for each signed-in device, whether it holds tokens or a cookie.

Issues access and refresh tokens, answers who a request is in one query, rotates refresh tokens so
that a stolen one ends its whole family, and lets people and staff end sessions with effect on the
very next request. It does not decide who may sign in: whoever authenticated a person calls
``services.start_token_session`` or Django's ``login()``.
"""
