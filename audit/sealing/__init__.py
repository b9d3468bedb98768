"""Sealing: the format, the keys, and the one that works along behind the events."""
