"""Security monitoring."""
