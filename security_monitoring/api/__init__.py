"""HTTP: what programs of the security staff are offered."""
