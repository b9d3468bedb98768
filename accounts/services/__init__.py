"""The verbs of accounts; none of them knows HTTP."""

from accounts.services.administration import (
    conclude_password_set,
    end_sessions_of,
    mark_email_verified,
    send_reset,
    set_active,
    unlock_account,
    unlock_address,
    unlock_bucket,
)
from accounts.services.deletion import require_deletable, require_superuser_left
from accounts.services.password_change import change_password, prove_password, set_own_password
from accounts.services.password_reset import request_reset, reset_password
from accounts.services.profile import rename, sign_ins_of
from accounts.services.registration import register
from accounts.services.roles import compare_roles, create_roles, require_grantable
from accounts.services.signing_in import check_credentials, continue_sign_in, sign_in
from accounts.services.unlocking import unlock
from accounts.services.verification import resend_code, verify_email

__all__ = [
    "change_password",
    "check_credentials",
    "compare_roles",
    "conclude_password_set",
    "continue_sign_in",
    "create_roles",
    "end_sessions_of",
    "mark_email_verified",
    "prove_password",
    "register",
    "rename",
    "request_reset",
    "require_deletable",
    "require_grantable",
    "require_superuser_left",
    "resend_code",
    "reset_password",
    "send_reset",
    "set_active",
    "set_own_password",
    "sign_in",
    "sign_ins_of",
    "unlock",
    "unlock_account",
    "unlock_address",
    "unlock_bucket",
    "verify_email",
]
