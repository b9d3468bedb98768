"""Where backups go: any Django storage, with writes that are whole or not there.

A storage with paths gets ``name.partial``, flushed to disk and renamed. Any other (S3, …) gets one
streamed ``save()``, which object stores complete at the end or not at all.
"""

from backups.targets.group import GroupWriter, TargetGroup
from backups.targets.storage import Target, target, targets
from backups.targets.writers import StreamWriter

__all__ = ["GroupWriter", "StreamWriter", "Target", "TargetGroup", "target", "targets"]
