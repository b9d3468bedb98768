"""HTTP hardening."""
