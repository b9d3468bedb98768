"""Settings of a site whose sign-ins take a second, so that a client can hang up in the middle."""

import os

from config.settings import *  # noqa: F403 - the same site, but for what follows

PASSWORD_HASHERS = ["tests.garrison.slow_hasher.SlowHasher"]
ACCOUNTS_HASHING_SLOTS = 100
ACCOUNTS_LOCKOUT_ADDRESS_FAILURES = 100_000
RATE_LIMITS = {"auth": ["100000/h"]}

# One middleware that is not async makes Django run all above it in a thread.
NOT_ASYNC = "whitenoise.middleware.WhiteNoiseMiddleware"
if os.environ["IS_ALL_ASYNC"] == "yes":
    MIDDLEWARE = [path for path in MIDDLEWARE if path != NOT_ASYNC]  # noqa: F405 - see above
