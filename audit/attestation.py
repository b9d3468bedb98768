"""What the application puts on each event as it writes the row: a MAC, the event's attestation.

Whoever owns the database alone can insert a row, and cannot attest it: the key is derived from
``SECRET_KEY``, which is in no database. The sealer verifies the attestation once and seals the
event as attested or not; so a key and its fallback are needed until then, and no longer.

It covers what either database returns as it was written; where it returns another form of the same
value (a number in JSON, an address), it covers one form of both.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import models

from audit.cleaning import canonical
from audit.sealing.encoding import ATTESTATION, FIELDS, canonical_data, encoded, instant
from audit.sealing.keyring import fingerprint, made_from_site
from garrison.conf import remembered
from garrison.keys import Keyring, Mac

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = "garrison.audit.event.v1"
VERSION = "1"
MAC_BYTES = 16  # RFC 2104 §5: half of the hash, and no less than 80 bits
LONGEST = 43  # characters: the version, the key's fingerprint and the MAC, in hexadecimal
IP, DATA = FIELDS.index("ip"), FIELDS.index("data")
EXACT_DIGITS = 16  # an integer with more was a float: cleaned data has none above 2**53


@remembered("SECRET_KEY")
def keyring() -> Keyring[Mac]:
    """Return the keys that attest, by fingerprint: that of ``SECRET_KEY``, then its fallbacks."""
    secrets = [secret.reveal() for secret in made_from_site("attest")]
    return Keyring({fingerprint(secret): Mac(secret) for secret in secrets})


def attest(event: Sequence[str | None]) -> str:
    """Return the attestation of the texts of an event (:data:`~audit.sealing.encoding.FIELDS`)."""
    return _attestation(next(iter(keyring().by_id)), event)


def is_attested(event: Sequence[str | None]) -> bool:
    """Return whether this application wrote these texts, by the attestation among them."""
    stored = event[ATTESTATION] or ""
    key_id = key_of(stored)
    if key_id not in keyring().by_id:
        return False
    made = _attestation(key_id, event)
    return hmac.compare_digest(made.encode(), stored.encode("utf-8", "surrogatepass"))


def key_of(attestation: str) -> str:
    """Return the fingerprint of the key that an attestation names."""
    return attestation.removeprefix(f"{VERSION}.").partition(".")[0]


def _attestation(key_id: str, event: Sequence[str | None]) -> str:
    parts = [FORMAT, *event[:ATTESTATION]]
    parts[1 + IP], parts[1 + DATA] = _address(event[IP]), _numbers(event[DATA])
    mac = keyring().by_id[key_id].digest(encoded(parts))
    return f"{VERSION}.{key_id}.{mac[:MAC_BYTES].hex()}"


@lru_cache(maxsize=4096)
def _address(text: str | None) -> str | None:
    """Write an address as its bytes: PostgreSQL, Python 3.11 and 3.13 differ in some texts."""
    try:
        return ipaddress.ip_address(text or "").packed.hex()
    except ValueError:  # nobody's address; as it stands
        return text


@lru_cache(maxsize=4096)
def _numbers(data: str | None) -> str | None:
    """Write the numbers of JSON as floats are: PostgreSQL returns 1e22 as digits, -0.0 as 0.0."""
    try:
        read = json.loads(data or "", parse_float=_float, parse_int=_integer)
        return canonical(read)
    except (ValueError, RecursionError):  # no JSON that the application writes; as it stands
        return data


def _float(text: str) -> float:
    return float(text) + 0.0  # -0.0 + 0.0 is 0.0


def _integer(text: str) -> float:
    return int(text) if len(text.lstrip("-")) <= EXACT_DIGITS else float(text)


class AttestationField(models.CharField):  # type: ignore[type-arg]  # generic only in the stubs
    """The attestation of its row, made when that is inserted: by ``save()`` and in bulk alike."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: FBT001 - Django's
        """Attest the row as it will be read back."""
        if add:
            setattr(model_instance, self.attname, attest(_texts(model_instance)))
        return getattr(model_instance, self.attname)


def _texts(event: models.Model) -> list[str | None]:
    fields = map(event._meta.get_field, FIELDS[:ATTESTATION])
    return [_text(field, getattr(event, field.name)) for field in fields]


def _text(field: Any, value: object) -> str | None:
    prepared = field.get_prep_value(value)
    if isinstance(field, models.JSONField):
        return canonical_data(json.dumps(prepared, cls=field.encoder))
    if isinstance(prepared, datetime):
        return instant(prepared)
    if isinstance(field, models.GenericIPAddressField):
        return prepared or None  # as Django stores it
    return None if prepared is None else str(prepared)
