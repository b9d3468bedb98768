"""The events of accounts.

A failed sign-in has ``data["reason"]``, one of the values of :class:`accounts.attempt.Reason`, and
``data["name_fingerprint"]``; its target is the account, where there is one. What was typed, name or
password, is in no event.
"""

from garrison.events import Delivery, EventKind, Outcome, Severity

USER_REGISTERED = EventKind(
    "accounts.user.registered", Severity.INFO, "A person registered and was mailed a code."
)
REGISTRATION_REPEATED = EventKind(
    "accounts.registration.repeated",
    Severity.LOW,
    "Somebody tried to register an address that has an account; its owner was told by mail.",
    Outcome.REFUSED,
)
GROUP_CHANGED = EventKind(
    "accounts.group.changed",
    Severity.HIGH,
    "A group was given permissions, lost some, or was renamed: its members may do more or less.",
)
ROLE_CREATED = EventKind(
    "accounts.role.created", Severity.MEDIUM, "The group of a declared role was created."
)
GROUP_DELETED = EventKind(
    "accounts.group.deleted", Severity.HIGH, "A group was deleted: its members lost what it gave."
)
USER_CREATED = EventKind("accounts.user.created", Severity.LOW, "Staff created an account.")
USER_ACTIVATED = EventKind(
    "accounts.user.activated", Severity.MEDIUM, "An account was activated again."
)
USER_DEACTIVATED = EventKind(
    "accounts.user.deactivated",
    Severity.MEDIUM,
    "An account was deactivated; its sessions were ended.",
)
USER_DELETED = EventKind(
    "accounts.user.deleted",
    Severity.MEDIUM,
    "An account was deleted; low where nobody had ever signed in with it.",
)
PRIVILEGES_CHANGED = EventKind(
    "accounts.privileges.changed",
    Severity.HIGH,
    "What an account may do was changed: its groups, permissions, staff or superuser status; "
    "information where it is the first superuser of the site.",
)
EMAIL_CHANGED = EventKind(
    "accounts.email.changed",
    Severity.MEDIUM,
    "Staff changed an account's address, which has to be verified again.",
)
EMAIL_VERIFIED = EventKind(
    "accounts.email.verified", Severity.INFO, "An address was verified, by its code or by staff."
)
CODE_REFUSED = EventKind(
    "accounts.code.refused",
    Severity.LOW,
    "A mailed code was refused: wrong, expired, or guessed at too often.",
    Outcome.REFUSED,
)
PROFILE_CHANGED = EventKind(
    "accounts.profile.changed", Severity.INFO, "A person changed their own profile."
)
PASSWORD_RESET = EventKind(
    "accounts.password.reset",
    Severity.MEDIUM,
    "A person chose a new password by a mailed code; every session was ended.",
)
PASSWORD_CHANGED = EventKind(
    "accounts.password.changed",
    Severity.MEDIUM,
    "A person chose a new password by proving the present one; every other session was ended.",
)
PASSWORD_FOUND_BREACHED = EventKind(
    "accounts.password.found_breached",
    Severity.MEDIUM,
    "A password was right and is known from a breach; its owner has to choose a new one.",
)
PASSWORD_RESET_SENT = EventKind(
    "accounts.password.reset_sent",
    Severity.MEDIUM,
    "Staff ended an account's password and sessions, and its owner was mailed a code.",
)
PASSWORD_SET_BY_STAFF = EventKind(
    "accounts.password.set_by_staff",
    Severity.MEDIUM,
    "Staff set an account's password; its sessions were ended.",
)
BREACH_SERVICE_LOST = EventKind(
    "accounts.breach_service.lost",
    Severity.MEDIUM,
    "The service that knows breached passwords failed three times in a row and is left alone for "
    "half a minute; ACCOUNTS_BREACH_ON_FAILURE decides about new passwords meanwhile.",
    Outcome.FAILURE,
    delivery=Delivery.AFTER_ROLLBACK,
)
LOGIN_SUCCEEDED = EventKind("accounts.login.succeeded", Severity.INFO, "A person signed in.")
LOGIN_CHALLENGED = EventKind(
    "accounts.login.challenged",
    Severity.LOW,
    "The password was right, and a step asked for more: the sign-in stands half-done.",
)
LOGIN_FAILED = EventKind(
    "accounts.login.failed", Severity.LOW, "A sign-in failed; the reason says why.", Outcome.REFUSED
)
LOCKOUT_STARTED = EventKind(
    "accounts.lockout.started",
    Severity.MEDIUM,
    "Too many sign-ins failed, so an account or an address was locked for a time; high where it is "
    "the whole site, to strangers.",
    Outcome.REFUSED,
)
DEVICE_REVOKED = EventKind(
    "accounts.device.revoked",
    Severity.LOW,
    "A trusted device was removed, by its owner or by staff; sessions on it go on.",
)
MAIL_ABANDONED = EventKind(
    "accounts.mail.abandoned",
    Severity.MEDIUM,
    "A mail could not be sent for a day, or its address was refused for good.",
    Outcome.FAILURE,
    delivery=Delivery.WITH_CHANGE,
)
ACCOUNT_UNLOCKED = EventKind(
    "accounts.account.unlocked",
    Severity.LOW,
    "Staff ended the lock of an account or an address, or the owner did by a mailed code.",
)
