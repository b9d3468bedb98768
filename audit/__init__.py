"""What happened: security events, kept as evidence that can be added to and never changed.

Listens to ``garrison.events``, stores each event once, answers questions about them, and counts
them by the minute for whoever draws them. It does not decide what is an event, raises no alert,
and does not yet seal the rows against somebody who owns the database.
"""
