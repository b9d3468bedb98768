"""The rows of accounts: people, devices, codes, buckets, half-done sign-ins, waiting mails."""

from accounts.models.lockout_bucket import LockoutBucket
from accounts.models.mailed_code import MailedCode
from accounts.models.outgoing_mail import OutgoingMail
from accounts.models.pending_sign_in import PendingSignIn
from accounts.models.trusted_device import TrustedDevice
from accounts.models.used_password import UsedPassword
from accounts.models.user import User, UserManager

__all__ = [
    "LockoutBucket",
    "MailedCode",
    "OutgoingMail",
    "PendingSignIn",
    "TrustedDevice",
    "UsedPassword",
    "User",
    "UserManager",
]
