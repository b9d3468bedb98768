"""The way along a chain on which everything fits: the same judgement as step by step, in a loop.

Anything unusual ends the stretch, and :mod:`audit.verification.chain` looks at it. A million
links go this way, so rows stay as the driver gave them and nothing is made of them but bytes.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from audit.sealing.encoding import (
    FIELDS,
    FORMATS,
    OUTCOMES_OF_VERSION_1,
    canonical_data,
    encoded,
)
from audit.sealing.encoding import KIND as KIND_IN_EVENT
from audit.verification.links import EVENT

if TYPE_CHECKING:
    from audit.verification.chain import Walk
    from audit.verification.links import Row

AT, KIND = EVENT + FIELDS.index("at"), EVENT + KIND_IN_EVENT
DATA = EVENT + FIELDS.index("data")


def fine_stretch(walk: Walk, block: list[Row], start: int) -> int:
    """Go on from ``start`` as long as each link fits; give how many did."""
    if walk.suspect is not None or walk.prev is None:
        return 0
    keys, expected, prev, highest = walk.keyring.by_id, walk.expected, walk.prev, walk.highest
    prev_text, count = prev.hex(), 0
    for row in block[start:]:
        seq, version, key_id, sealed_at, its_prev, mac = row[:6]
        key, at, data = keys.get(key_id), row[AT], row[DATA]
        if seq != expected or its_prev != prev or version not in FORMATS or key is None:
            break
        if version == 1 and row[KIND] in OUTCOMES_OF_VERSION_1:  # its outcome was another one
            break
        if at is None or data is None or mac is None or at < highest:  # gone, or out of order
            break
        parts = (FORMATS[version], walk.stream, str(seq), key_id, sealed_at, prev_text)
        made = key.mac(encoded((*parts, *row[EVENT:DATA], canonical_data(data))))
        if not hmac.compare_digest(made, mac):
            break
        expected, prev, prev_text, count = seq + 1, mac, mac.hex(), count + 1
        highest = min(at, sealed_at)
    walk.expected, walk.prev, walk.highest = expected, prev, highest
    walk.report.looked_at += count
    return count
