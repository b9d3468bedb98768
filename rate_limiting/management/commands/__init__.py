"""Commands of rate_limiting."""
