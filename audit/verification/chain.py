"""Along one stream: whether each event is what was sealed, at the place where it was sealed.

A MAC that does not fit is judged by what follows. Where the next link was made behind this very
MAC, the seal is genuine and the event was changed; where it was not, the seal itself was put there.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from audit import attestation
from audit.keys import EPOCH
from audit.sealing.encoding import (
    ATTESTATION,
    FIELDS,
    FORMATS,
    KIND,
    VERSION,
    ChainPosition,
    message,
)
from audit.sealing.rows import read_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from audit.sealing.keyring import SealKey
    from audit.sealing.rollout import Accepted
    from audit.verification.links import Link, Reader
    from audit.verification.report import Report
    from garrison.keys import Keyring

LATE = timedelta(hours=1)  # how much later than its neighbours an event may arrive unremarked
MOST_SEARCHED = 20  # links whose true place is looked for, each among a block of others
AT = FIELDS.index("at")


@dataclass(slots=True)
class Missing:
    """A key that is not here, and what was sealed with it."""

    first: int
    last: int
    count: int = 1


@dataclass(slots=True)
class Walk:
    """How far along one stream we are, and what is believed of the link before."""

    stream: str
    keyring: Keyring[SealKey]
    report: Report
    expected: int
    prev: bytes | None  # None where nothing is known of it
    accepted: Sequence[Accepted] = ()  # what may lack the application's attestation
    unattested: int = 0  # of those
    neighbours: list[Link] = field(default_factory=list)  # the block we are in
    suspect: Link | None = None  # its MAC does not fit; judged when the next one is seen
    highest: str = ""  # the newest instant so far, as text
    searched: int = 0
    missing: dict[str, Missing] = field(default_factory=dict)


def walk(
    reader: Reader,
    walk: Walk,
    *,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Verify every link from ``walk.expected`` on."""
    for block in reader.blocks(walk.stream, after=walk.expected - 1):
        walk.neighbours = block
        for link in block:
            _step(walk, link)
        progress(walk.report.looked_at)
    _judge(walk, None)
    for key_id, missing in walk.missing.items():
        _report_missing_key(walk, key_id, missing)
    if walk.unattested:
        walk.report.remark(
            f"{walk.unattested:,} events of {walk.stream!r} carry no attestation, as expected: "
            "they were sealed while the release that attests rolled out, or before a backup was "
            "declared restored."
        )


def _step(walk: Walk, link: Link) -> None:
    walk.report.looked_at += 1
    if walk.suspect is not None:
        _judge(walk, link)
    if link.seq > walk.expected:
        _report_gap(walk, link)
    fits = _fits(walk, link)
    if not fits:
        walk.suspect = link if fits is False else None
    if walk.prev is not None and link.prev != walk.prev and fits is not False:
        _report_unlinked(walk, link)
    walk.expected = link.seq + 1
    walk.prev = link.mac if fits is not False else None
    if fits:
        _remark_late(walk, link)


def _fits(walk: Walk, link: Link) -> bool | None:
    """Return whether the MAC is right; ``None`` where that cannot be known and was sentence."""
    if link.event is None:
        _report(
            walk,
            "deleted",
            f"Event {link.event_id} was removed: number {link.seq} of {walk.stream!r} was sealed "
            f"at {link.sealed_at[:19]} UTC, and its row is gone.",
            link,
        )
        return None
    key = walk.keyring.by_id.get(link.key_id)
    if key is None:
        known = walk.missing.setdefault(link.key_id, Missing(link.seq, link.seq, 0))
        known.last, known.count = link.seq, known.count + 1
        return None
    if link.version not in FORMATS:
        return False
    if hmac.compare_digest(_mac(walk, key, link), link.mac):
        if link.version == VERSION and link.event[ATTESTATION] is None:
            _report_unattested(walk, link)
        return True
    unattested = [*link.event[:ATTESTATION], None]  # what stands there did not verify then
    if not hmac.compare_digest(_mac(walk, key, link, event=unattested), link.mac):
        return False
    if not attestation.is_attested(link.event):  # else the sealer lacked a key that is here
        _report_unattested(walk, link)
    return True


def _mac(
    walk: Walk,
    key: SealKey,
    link: Link,
    *,
    seq: int | None = None,
    event: list[str | None] | None = None,
) -> bytes:
    """Compute the MAC of a link, or what it would be at another number or of another event."""
    seq, event = seq or link.seq, event or link.event or []
    position = ChainPosition(walk.stream, seq, link.key_id, link.sealed_at, link.prev)
    return key.mac(message(position, event, version=link.version))


def _judge(walk: Walk, following: Link | None) -> None:
    """Report what is wrong with the suspect, now that its follower is seen."""
    link, walk.suspect = walk.suspect, None
    if link is None:
        return
    if true_place := _true_place(walk, link):
        _report(
            walk,
            "moved",
            f"Number {link.seq} of {walk.stream!r} was moved: what stands there was sealed as "
            f"{true_place}.",
            link,
        )
    elif following is not None and following.prev == link.mac:
        _report(
            walk,
            "edited",
            f"Event {link.event_id} ({_what(link)}), number {link.seq} of {walk.stream!r}, was "
            "changed after it was sealed.",
            link,
        )
    else:
        end = "" if following else "changed, "
        _report(
            walk,
            "forged",
            f"Number {link.seq} of {walk.stream!r} (event {link.event_id}, {_what(link)}) was not "
            f"sealed like this with key {link.key_id!r}: it was {end}inserted or replaced.",
            link,
        )


def _true_place(walk: Walk, link: Link) -> str:
    """Look among the neighbours for the number, or the event, with which the MAC fits."""
    walk.searched += 1
    key = walk.keyring.by_id.get(link.key_id)
    if walk.searched > MOST_SEARCHED or key is None or link.event is None:
        return ""
    for other in walk.neighbours:
        if other.seq == link.seq:
            continue
        if _mac(walk, key, link, seq=other.seq) == link.mac:
            return f"number {other.seq}"
        if other.event and _mac(walk, key, link, event=other.event) == link.mac:
            return f"event {other.event[0]}, which now stands at number {other.seq}"
    return ""


def _report_gap(walk: Walk, link: Link) -> None:
    first, last = walk.expected, link.seq - 1
    which = f"number {first}" if first == last else f"numbers {first} to {last}"
    _report(
        walk,
        "gap",
        f"{last - first + 1:,} sealed events are missing from {walk.stream!r}: {which}. They were "
        "removed, with their seals, and no signed anchor says that retention did it.",
        link,
    )
    walk.prev = None


def _report_unlinked(walk: Walk, link: Link) -> None:
    _report(
        walk,
        "replaced",
        f"Number {link.seq} of {walk.stream!r} was sealed behind another number {link.seq - 1} "
        "than the one that is there: that one was replaced, by somebody who has the sealing key.",
        link,
    )


def _report_unattested(walk: Walk, link: Link) -> None:
    if any(expected.covers(link.seq, link.sealed_at) for expected in walk.accepted):
        walk.unattested += 1
        return
    key_id = attestation.key_of((link.event or [""])[ATTESTATION] or "")
    is_unknown = key_id and key_id not in attestation.keyring().by_id
    which = f" It names a key that is not here ({key_id[:8]!r})." if is_unknown else ""
    _report(
        walk,
        "unattested",
        f"Event {link.event_id} ({_what(link)}), number {link.seq} of {walk.stream!r}, was written "
        f"by no process of this site: its attestation is missing or false.{which}",
        link,
    )


def _report_missing_key(walk: Walk, key_id: str, missing: Missing) -> None:
    name = key_id.rpartition(".")[0]
    same = [known for known in walk.keyring.by_id if known.rpartition(".")[0] == name]
    which = f"{missing.count:,} events of {walk.stream!r} (numbers {missing.first} to "
    which += f"{missing.last}) were sealed with key {key_id!r}"
    if same:
        sentence = f"{which}; the key under {name!r} here is another one ({', '.join(same)})."
        walk.report.add("key_wrong", sentence, stream=walk.stream, number=missing.first)
    else:
        sentence = f"{which}, which is not here. Put it back into AUDIT_KEYS behind the active one."
        walk.report.add("key_missing", sentence, stream=walk.stream, number=missing.first)


def _remark_late(walk: Walk, link: Link) -> None:
    """Remark an event that is older than those before it: stored late, or written in later."""
    at = link.event[AT] if link.event else None
    if at is None or at >= walk.highest:
        walk.highest = at if at and at < link.sealed_at else walk.highest
        return
    happened, newest = read_instant(at), read_instant(walk.highest)
    if (newest or EPOCH) - (happened or EPOCH) > LATE:
        walk.report.remark(
            f"Number {link.seq} of {walk.stream!r} ({_what(link)}) was stored after events that "
            f"happened more than an hour later (by {walk.highest[:19]} UTC): its transaction was "
            "open that long, or it was written in afterwards."
        )


def _what(link: Link) -> str:
    if link.event is None:
        return "gone"
    return f"{link.event[KIND]} at {str(link.event[AT])[:19]} UTC"


def _report(walk: Walk, code: str, detail: str, link: Link) -> None:
    walk.report.add(code, detail, stream=walk.stream, number=link.seq, event=str(link.event_id))
