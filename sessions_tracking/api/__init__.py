"""HTTP: what programs are offered."""
