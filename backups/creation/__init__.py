"""Making one backup: what happens inside a claimed run."""

from backups.creation.run import Creation

__all__ = ["Creation"]
