"""The HTTP API of accounts, mounted at ``api/auth/``."""
