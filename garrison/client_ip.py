"""The only code that decides a client's address.

``X-Forwarded-For`` is read from the right, past each trusted proxy, and the first address that is
not trusted is the client: whatever a client writes itself stands further left and is never reached
(OWASP ASVS 5.0 V4.1.3, V15.3.4).
"""

from __future__ import annotations

import ipaddress
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from garrison.conf import remembered, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

logger = logging.getLogger("garrison.client_ip")

FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
TRUSTED = "garrison.peer_is_trusted"  # in META; no field's key can be this one
LONGEST_ADDRESS = 64  # "[" + 45 characters of IPv6 + zone + "]:65535"
MOST_HOPS = 32  # a longer chain is an attack on our time, not a chain of proxies
IPV6_CLIENT_PREFIX = 64  # RFC 6177: one end site holds at least a /64


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """Read one address; ports, brackets and zones are dropped, ``::ffff:`` is unmapped.

    Returns ``None`` for anything that is not an address, and never raises.
    """
    text = text.strip()
    if not text or len(text) > LONGEST_ADDRESS:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # IPv4 with a port
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@remembered("GARRISON_TRUSTED_PROXIES")
def _trusted_networks() -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in settings.trusted_proxies)


def is_trusted_proxy(address: Address | None) -> bool:
    """Return whether the address is one of ``GARRISON_TRUSTED_PROXIES``."""
    trusted = _trusted_networks()
    return bool(trusted) and address is not None and any(address in network for network in trusted)


def peer_is_trusted(meta: Mapping[str, object]) -> bool:
    """Return whether what the machine that opened the connection forwards may be believed.

    It must be a trusted proxy, and its fields must have arrived as it wrote them.
    """
    known = meta.get(TRUSTED)  # once garrison.proxies has put the client's address over the peer's
    if known is not None:
        return bool(known)
    return is_trusted_proxy(parse(str(meta.get("REMOTE_ADDR") or ""))) and not _folds_names(meta)


def _folds_names(meta: Mapping[str, object]) -> bool:
    """Return whether a client's ``X_Forwarded_For`` may stand where the proxy's field stood.

    Granian's WSGI interface makes one key of both and keeps the later. Its other interfaces keep
    the names, and other servers drop those with underscores.
    """
    if meta.get("SERVER_SOFTWARE") != "Granian":
        return False
    _report_folding()
    return True


@lru_cache(maxsize=1)
def _report_folding() -> None:
    logger.error(
        "The fields of trusted proxies are not believed: granian's WSGI interface cannot tell "
        "X_Forwarded_For from X-Forwarded-For. Run `granian --interface rsgi "
        "config.rsgi:application`, or serve by ASGI, or by a server that drops names with "
        "underscores: docs/proxies.md."
    )


def client_ip(meta: Mapping[str, object]) -> str | None:
    """Decide the client's address from ``request.META``.

    Returns canonical text (``203.0.113.9``, ``2001:db8::1``), or ``None`` where the connection has
    no address (a Unix socket) and no trusted proxy told one. A malformed hop ends the walk at the
    last address that could be believed.
    """
    address = parse(str(meta.get("REMOTE_ADDR") or ""))
    if not peer_is_trusted(meta):
        return str(address) if address else None
    hops = str(meta.get(FORWARDED_FOR) or "").rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    for hop in reversed(hops):
        nearer = parse(hop)
        if nearer is None:
            break
        address = nearer
        if not is_trusted_proxy(nearer):
            break
    return str(address)


@lru_cache(maxsize=4096)
def bucket(ip: str | None) -> str:
    """Return the key under which an address is counted: IPv4 whole, IPv6 by its /64.

    Whoever has one IPv6 address has 2⁶⁴ of them, so counting single ones limits nobody. An unknown
    address is one shared bucket.
    """
    address = parse(ip or "")
    if address is None:
        return "unknown"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address), IPV6_CLIENT_PREFIX), strict=False))
