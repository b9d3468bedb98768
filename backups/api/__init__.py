"""Backups over HTTP: look at them, and ask for one or for a verification."""
