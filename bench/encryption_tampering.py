"""Every single-bit flip over 10,000 envelopes, each refused with one exception type.

python bench/encryption_tampering.py [envelopes]
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter

import encryption_ground as ground
import servers


def main() -> int:
    envelopes = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    ground.set_up([servers.fresh_key("k1"), servers.fresh_key("k3")])
    from encryption.errors import DecryptionFailed
    from encryption.keyring import EncryptionKeyring, keyring

    EncryptionKeyring.retired_on = lambda *_: None  # type: ignore[method-assign]  # no database here
    cipher, row = keyring().cipher("bench.person.note"), os.urandom(16)
    outcomes: Counter[str] = Counter()
    started = time.perf_counter()
    for _ in range(envelopes):
        envelope = cipher.seal(b"v", row)
        assert cipher.open(envelope, row) == b"v"
        for bit in range(len(envelope) * 8):
            flipped = bytearray(envelope)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                cipher.open(bytes(flipped), row)
            except Exception as refusal:  # noqa: BLE001 - the type is what is asked
                outcomes[type(refusal).__name__] += 1
            else:
                outcomes["opened"] += 1
    print(f"{envelopes:,} envelopes, {outcomes.total():,} flips, {dict(outcomes)}")
    print(f"{time.perf_counter() - started:.0f} s")
    return int(set(outcomes) != {DecryptionFailed.__name__})


if __name__ == "__main__":
    sys.exit(main())
