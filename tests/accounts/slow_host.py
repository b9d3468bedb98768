"""Settings of a site whose passwords take seconds to hash, so that a flood of sign-ins lasts."""

import time

from accounts.password.hashers import GarrisonArgon2PasswordHasher, hashing_slot
from config.settings import *  # noqa: F403 - the same site, but for what follows

SECONDS = 3


class SlowHasher(GarrisonArgon2PasswordHasher):
    """Ours, for longer, in its slot as ever."""

    def encode(self, password, salt):
        """Hash, after a while."""
        with hashing_slot():
            time.sleep(SECONDS)
            return super().encode(password, salt)


PASSWORD_HASHERS = ["tests.accounts.slow_host.SlowHasher"]
RATE_LIMITS = {"auth": [], "api": []}
