"""Putting a backup back: whole or not at all, and checked before it counts."""
