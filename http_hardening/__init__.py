"""HTTP hardening: what every answer says to a browser, and what every body must be.

Response headers, a content security policy with nonces on every page, errors in the form of
RFC 9457, strict JSON bodies and serializers, and the OpenAPI description.

It does not authenticate, does not limit rates, and does not inspect uploads.
"""
