"""Keys that a Vault-like service unwraps: the site stores only ``id:vault:v1:…``.

The protocol is the decrypt call of HashiCorp Vault's transit engine, which OpenBao speaks too; a
cloud KMS differs in the request alone, so this class is also the pattern for one. It is called
at the first use of a key in a process; nothing is cached on disk.
"""

from __future__ import annotations

import base64
import binascii
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encryption.conf import settings
from encryption.errors import KeyringUnusable
from encryption.keyring.entries import read
from encryption.keyring.providers import accepted
from garrison.keys import KeyList, Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from garrison.keys import Key

LONGEST_ANSWER = 64 * 1024  # bytes
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class VaultTransitKeyProvider:
    """Unwrap each of ``ENCRYPTION_VAULT_WRAPPED_KEYS`` by ``POST /v1/transit/decrypt/<name>``."""

    def keys(self) -> Sequence[Key[Secret]]:
        """Request the keys; a service that is down or refuses stops the start with a sentence."""
        url = settings.vault_url.rstrip("/")
        _require_private_channel(url)
        return accepted(_unwrap_all(url))


def _require_private_channel(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise KeyringUnusable(
        "ENCRYPTION_VAULT_URL must be an https address; keys never travel in clear."
    )


def _unwrap_all(url: str) -> KeyList[Secret]:
    """Unwrap every key; a problem is a sentence in the result, so that no frame raises a key."""
    opened: list[str] = []
    for number, entry in enumerate(settings.vault_wrapped_keys, start=1):
        key_id, _, wrapped = entry.partition(":")
        try:
            opened.append(f"{key_id}:{_decrypt(url, wrapped)}")
        except (OSError, ValueError, KeyError, TypeError) as failure:
            return KeyList(problems=[f"Wrapped key number {number}: {_sentence(failure)}"])
    return read(opened)


def _decrypt(url: str, wrapped: str) -> str:
    name = urllib.parse.quote(settings.vault_transit_key, safe="")
    token = Path(settings.vault_token_file).read_text(encoding="utf-8").strip()
    request = urllib.request.Request(  # noqa: S310 - the scheme was looked at above
        f"{url}/v1/transit/decrypt/{name}",
        data=json.dumps({"ciphertext": wrapped}).encode(),
        headers={"X-Vault-Token": token, "Content-Type": "application/json"},
        method="POST",
    )
    client = urllib.request.build_opener(_NoRedirects)
    with client.open(request, timeout=settings.vault_timeout_seconds) as answer:
        body = json.loads(answer.read(LONGEST_ANSWER))
    plaintext = body["data"]["plaintext"]
    base64.b64decode(plaintext, validate=True)
    return str(plaintext)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""


def _sentence(failure: Exception) -> str:
    if isinstance(failure, urllib.error.HTTPError):
        return f"the Vault service answered {failure.code}. Look at its policy and the token."
    if isinstance(failure, binascii.Error | KeyError | ValueError | TypeError):
        return "the Vault service gave an answer that is not a key."
    return f"the Vault service cannot be reached ({type(failure).__name__})."
