"""Template tags of http_hardening."""
