"""Making one backup: what happens inside a claimed run."""

from backups.creation.run import Creation
from backups.creation.sweeping import folder_of, sweep

__all__ = ["Creation", "folder_of", "sweep"]
