"""What happened: security events, kept as evidence that can be added to and never changed.

Listens to ``garrison.events``, stores each event once, answers questions about them, and counts
them by the minute for whoever draws them. Seals each event into a chain, signs the chain's head,
and verifies both, so that whoever changes the database all the same is seen. It does not decide
what is an event, and raises no alert.
"""
