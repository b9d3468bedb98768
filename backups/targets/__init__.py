"""Where backups go: any Django storage, with writes that are whole or not there.

A storage with paths gets ``name.partial``, flushed to disk and renamed. Any other (S3, …) gets one
streamed ``save()``, which object stores complete at the end or not at all.
"""

from backups.targets.fan import Fan
from backups.targets.paths import PathWriter
from backups.targets.storage import Target, target, targets
from backups.targets.streams import StreamWriter
from backups.targets.writer import Writer

__all__ = ["Fan", "PathWriter", "StreamWriter", "Target", "Writer", "target", "targets"]
