"""The rows of accounts: people, the codes mailed to them, and the buckets of failed sign-ins."""

from accounts.models.lockout_bucket import LockoutBucket
from accounts.models.mailed_code import MailedCode
from accounts.models.user import User, UserManager

__all__ = ["LockoutBucket", "MailedCode", "User", "UserManager"]
