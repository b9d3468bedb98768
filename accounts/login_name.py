"""The name a person signs in with: folded, so that one person has one spelling.

``ＡLICE@Example.ORG`` and ``alice@example.org`` are one address. Folding everywhere, before lookups
and before counting, is what keeps look-alike spellings from being separate accounts or separate
lockout buckets (OWASP ASVS 5.0 V6.3.1; Unicode TR #36).
"""

from __future__ import annotations

import unicodedata

from django.utils.crypto import salted_hmac

LONGEST_LOGIN_NAME = 254  # characters; RFC 5321 §4.5.3.1.3 with the brackets taken off
_SALT = "accounts.login_name"


def fold(text: str) -> str:
    """Fold a name: compatibility forms and case away, no outer blanks.

    This is the compatibility caseless form of the Unicode Standard (definition D146), composed at
    the end. Folding twice gives the same as folding once.
    """
    text = unicodedata.normalize("NFD", text).casefold()
    text = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKC", text).strip()


def is_acceptable(name: str) -> bool:
    """Tell whether an account could have this folded name: 1 to 254 printable characters.

    What is not acceptable never reaches the database: PostgreSQL refuses NUL, and no driver encodes
    a lone surrogate.
    """
    return 0 < len(name) <= LONGEST_LOGIN_NAME and name.isprintable()


def fingerprint(name: str) -> str:
    """Give a keyed digest of a name in any spelling: 32 hexadecimal digits.

    People type passwords into the name field, so a name that belongs to nobody is never stored; its
    fingerprint still tells whether two attempts meant the same one. It changes with ``SECRET_KEY``.
    """
    folded = fold(name[: LONGEST_LOGIN_NAME * 4]).encode("utf-8", "surrogatepass")
    return salted_hmac(_SALT, folded, algorithm="sha256").hexdigest()[:32]
