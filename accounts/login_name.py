"""The name a person signs in with: folded, so that one person has one spelling.

``ALICE@Example.ORG`` in full-width letters and ``alice@example.org`` are one address. Folding
everywhere, before lookups and before counting, is what keeps look-alike spellings from being
separate accounts or separate lockout buckets (OWASP ASVS 5.0 V6.3.1).
"""

from __future__ import annotations

import unicodedata

from django.utils.crypto import salted_hmac

from accounts.conf import settings

LONGEST_LOGIN_NAME = 254  # characters; RFC 5321 §4.5.3.1.3 with the angle brackets taken off
LONGEST_TYPED_NAME = 4 * LONGEST_LOGIN_NAME  # folding composes: longer text may still fold to 254
_SALT = "accounts.login_name"


def fold(text: str) -> str:
    """Fold a name: compatibility forms and case away, no outer blanks.

    This is the compatibility caseless form of the Unicode Standard (definition D146), composed at
    the end. Folding twice gives the same as folding once.
    """
    text = unicodedata.normalize("NFD", text).casefold()
    text = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKC", text).strip()


def acceptable(text: str) -> str | None:
    """Return the folded name where an account could have it: 1 to 254 printable characters.

    ``None`` never reaches the database: PostgreSQL refuses NUL, and no driver encodes a lone
    surrogate. Text too long to fold into the limit is not even folded.
    """
    if len(text) > LONGEST_TYPED_NAME:
        return None
    folded = fold(text)
    is_possible = 0 < len(folded) <= LONGEST_LOGIN_NAME and folded.isprintable()
    return folded if is_possible else None


def fingerprint(text: str) -> str:
    """Return a keyed digest of a name in any spelling: 32 hexadecimal digits.

    People type passwords into the name field, so a name that belongs to nobody is never stored; its
    fingerprint still tells whether two attempts meant the same one. It changes with its key,
    ``ACCOUNTS_FINGERPRINT_KEY`` or else ``SECRET_KEY``; locks and failures counted under the old
    one are forgotten then.
    """
    folded = fold(text[:LONGEST_TYPED_NAME]).encode("utf-8", "surrogatepass")
    secret = settings.fingerprint_key or None
    return salted_hmac(_SALT, folded, secret=secret, algorithm="sha256").hexdigest()[:32]
