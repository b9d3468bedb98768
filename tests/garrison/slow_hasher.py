"""A hasher that tells which password it hashes, and takes its time."""

import os
import time
from pathlib import Path

from django.contrib.auth.hashers import Argon2PasswordHasher

SECONDS = 0.7


class SlowHasher(Argon2PasswordHasher):
    """Writes each password to the file that ``BEGUN`` names; cheap in all but time."""

    time_cost, memory_cost, parallelism = 1, 64, 1

    def encode(self, password, salt):
        """Hash, after a while."""
        with Path(os.environ["BEGUN"]).open("a") as begun:
            begun.write(f"{password}\n")
        time.sleep(SECONDS)
        return super().encode(password, salt)
