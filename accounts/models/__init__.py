"""The rows of accounts: people, mailed codes, buckets of failed sign-ins, half-done sign-ins."""

from accounts.models.lockout_bucket import LockoutBucket
from accounts.models.mailed_code import MailedCode
from accounts.models.pending_sign_in import PendingSignIn
from accounts.models.user import User, UserManager

__all__ = ["LockoutBucket", "MailedCode", "PendingSignIn", "User", "UserManager"]
