"""Passwords: how they are hashed, verified, and judged before they are accepted."""
