"""Where the encrypted files of one run go: to which targets, for whom, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backups import pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from backups.keys import Recipients
    from backups.pipeline import Readable, Sealed, Throttle
    from backups.targets import TargetGroup


@dataclass(frozen=True, slots=True)
class Outlet:
    """The targets of a run, to whom it is encrypted, and the limit of its bandwidth."""

    group: TargetGroup
    recipients: Recipients
    throttle: Throttle

    def seal(
        self,
        source: Readable,
        name: str,
        *,
        on_progress: Callable[[int], None] = lambda _size: None,
        before_commit: Callable[[], None] = lambda: None,
    ) -> tuple[Sealed, list[str]]:
        """Seal all of the source to a file on every live target; returns the aliases that hold it.

        Whatever is raised, also by ``before_commit``, no target keeps anything of it.
        """
        with self.group.writer(name) as out:
            sealed = pipeline.seal(
                source=source,
                out=out,
                recipients=self.recipients,
                throttle=self.throttle,
                on_progress=on_progress,
            )
            before_commit()
            out.commit()
            return sealed, out.holders
