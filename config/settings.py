"""The project's settings, all of them from the environment; see docs/settings.md."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from csp.constants import NONCE, NONE, SELF

from config import mail
from config.environment import (
    BASE_DIR,
    IS_PRODUCTION,
    LEVELS,
    VAR_DIR,
    audit_keys,
    encryption_keys,
    env,
    listed,
    log_form,
    one_of,
    require,
    require_engine,
    required,
    secret,
    secret_fallbacks,
    signing_keys,
)
from garrison import logs

if TYPE_CHECKING:
    from pathlib import Path

require("SECRET_KEY", "JWT_SECRET", "ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL")

# --- Who we are -----------------------------------------------------------------------------------
SECRET_KEY = secret("SECRET_KEY")
# Accepted, never signed with: the next key before a change, the old one after it (docs/keys.md).
SECRET_KEY_FALLBACKS = secret_fallbacks("SECRET_KEY_FALLBACKS", of="SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en-us"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SITE_NAME = env.str("SITE_NAME", "Django Garrison")

INSTALLED_APPS = [
    "config.starter",
    "garrison",
    # what is going wrong
    "security_monitoring",
    # one concern each
    "sessions_tracking",
    "rate_limiting",
    "http_hardening",
    "backups",
    # who someone is: after the sessions, so that the event of a sign-in can name its session
    "accounts",
    # what happened · secrets at rest
    "audit",
    "encryption",
    # what they stand on
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "axes",
    "csp",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "garrison.middleware.RequestContextMiddleware",
    "http_hardening.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "security_monitoring.middleware.HealthMiddleware",
    "http_hardening.csp.PageMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sessions_tracking.middleware.TrackedSessionMiddleware",
    "accounts.middleware.TrustedDeviceMiddleware",
    "rate_limiting.middleware.RateLimitMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "http_hardening.csp.nonce",
            ],
        },
    },
]

# --- Stores ---------------------------------------------------------------------------------------
DATABASES = {"default": env.dj_db_url("DATABASE_URL", conn_max_age=60)}
require_engine(DATABASES["default"]["ENGINE"])
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    if not DATABASES["default"]["NAME"].startswith((":", "file:")):
        DATABASES["default"]["NAME"] = str(BASE_DIR / DATABASES["default"]["NAME"])
    # IMMEDIATE takes the write lock at BEGIN: SQLite has no SELECT … FOR UPDATE.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # A server that cannot be reached is given up soon: a probe waits for the answer. Values travel
    # beside the statement: PostgreSQL logs a statement that fails, and no password hash with it.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 2,
        "tcp_user_timeout": 10_000,
        "server_side_binding": True,
    } | DATABASES["default"].get("OPTIONS", {})

REDIS_URL = required("REDIS_URL")
STORE_TIMEOUT_SECONDS = env.float("STORE_TIMEOUT_SECONDS", 0.2)
CACHES = {
    "default": {
        "BACKEND": "rate_limiting.cache.CounterCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "socket_timeout": STORE_TIMEOUT_SECONDS,
            "socket_connect_timeout": STORE_TIMEOUT_SECONDS,
        },
    },
}


def _private_folder(path: Path) -> dict[str, Any]:
    return {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": path,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    }


STORAGES = {
    "default": {
        # Deletions wait while a backup runs: its snapshot still speaks of the file.
        "BACKEND": "backups.deletions.PatientFileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "media"},
    },
    "backups": _private_folder(VAR_DIR / "backups"),
    # Signed heads of the audit log: mount here what whoever owns the database cannot write to.
    "audit_checkpoints": _private_folder(
        BASE_DIR / env.str("AUDIT_CHECKPOINT_DIR", str(VAR_DIR / "checkpoints"))
    ),
    # The keys of people: kept out of every backup, so that erasing one erases it everywhere.
    "subject_keys": _private_folder(VAR_DIR / "subject_keys"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"

# --- Mail: files unless a server is named ---------------------------------------------------------
globals().update(
    mail.to_server(env.dj_email_url("EMAIL_URL"))
    if env.str("EMAIL_URL", "")
    else mail.to_files(VAR_DIR / "mail")
)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "security@localhost")

# --- Signing in -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountsBackend"]
WEB_THREADS = env.int("WEB_THREADS", 4)  # of one web server process: docs/performance.md
# Half of the threads hash at most: the others go on reading while a flood signs in.
ACCOUNTS_HASHING_SLOTS = max(1, WEB_THREADS // 2)
PASSWORD_HASHERS = ["accounts.password.hashers.GarrisonArgon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "accounts.password.validators.PolicyValidator"}]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# django-axes keeps records; when to lock is decided before hashing, by accounts.lockout.
AXES_HANDLER = "accounts.axes_handler.LockoutHandler"
AXES_CLIENT_IP_CALLABLE = "accounts.axes_handler.client_ip_of"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_SENSITIVE_PARAMETERS = ["username", "email", "ip_address", "code", "refresh", "token"]
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # accounts shows what axes records
# axes' own middleware and backend: the lockout answers for itself, at every door.
SILENCED_SYSTEM_CHECKS = [
    "axes.W002",
    "axes.W003",
    "security.W021",  # HSTS preload binds a domain for years; its owner decides, not this file
]

# --- Browsers -------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", False)
SECURE_REDIRECT_EXEMPT = [r"^health(/ready)?$"]  # probes come by plain HTTP
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds())  # ASVS 5.0 V3.4.1: at least a year
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_PRODUCTION
# The __Host- prefix binds a cookie to this host and to HTTPS (ASVS 5.0 V3.3.3).
SESSION_COOKIE_NAME = "__Host-session" if IS_PRODUCTION else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if IS_PRODUCTION else "csrf"
ACCOUNTS_DEVICE_COOKIE_NAME = "__Host-trusted-device" if IS_PRODUCTION else "trusted_device"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(timedelta(hours=12).total_seconds())
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
        "report-uri": ["/csp-report"],
        "report-to": ["csp"],
    },
}
CSRF_FAILURE_VIEW = "http_hardening.handlers.csrf_failure"
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", [])
CORS_URLS_REGEX = r"^/api/"
CORS_EXPOSE_HEADERS = [
    "X-Request-ID",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Device-Token",
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# --- Programs -------------------------------------------------------------------------------------
# For views that are not the apps' own: those follow HTTP_HARDENING_API_*.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "sessions_tracking.authentication.SessionTokenAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Django Garrison",
    "DESCRIPTION": "Accounts, sessions and security of this site.",
    "VERSION": "1",
    "CONTACT": {"name": "The operators of this site", "url": "/api/docs"},
    "LICENSE": {"name": "BSD-3-Clause", "url": "https://opensource.org/license/bsd-3-clause"},
    "SERVERS": [{"url": "/", "description": "This site"}],
    "TAGS": [
        {"name": "auth", "description": "Accounts: register, sign in, passwords, one's own data."},
        {"name": "backups", "description": "Backups: look at them, ask for one, verify one."},
        {"name": "security", "description": "Events, figures and health, for security staff."},
        {"name": "sessions", "description": "One's own signed-in devices."},
    ],
}

# --- Work in the background -----------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = int(timedelta(hours=6).total_seconds())
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Longer than any task may run, or the broker would hand a running task out again.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": CELERY_TASK_TIME_LIMIT + 600,
    # Without these, a store that hangs would hang every request that sends a task.
    "socket_connect_timeout": 1,
    "socket_timeout": 2,  # longer than the one second a worker's BRPOP waits
    "max_retries": 1,
    "interval_start": 0,
}
CELERY_TASK_PUBLISH_RETRY = False  # it fails at once; whoever needs the task finds it in a table
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for the store as long as it takes
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True  # only those not yet acknowledged

# --- Garrison -------------------------------------------------------------------------------------
GARRISON_TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", [])
GARRISON_FIELD_POLICY = "accounts.field_permissions.FieldPermissions"
SESSIONS_MAILER = "accounts.mails.queue_notice"
# The file answers where it is installed, else the service where one is named; else nobody.
ACCOUNTS_BREACH_CORPUS = str(BASE_DIR / env.str("BREACH_CORPUS", str(VAR_DIR / "breaches.txt")))
ACCOUNTS_BREACH_SERVICE_URL = env.str("BREACH_SERVICE_URL", "")
SESSIONS_SIGNING_KEYS = signing_keys("JWT_SECRET", unlike="SECRET_KEY")
ENCRYPTION_KEYS: list[str] = encryption_keys("ENCRYPTION_KEY")
# Needed as soon as there are two keys: the one that blind indexes were first written under.
ENCRYPTION_INDEX_KEY = env.str("ENCRYPTION_INDEX_KEY", "")
# A kept backup holds values under the keys of its day: such a key is not retired.
ENCRYPTION_KEPT_BACKUPS = "config.kept_backups.moments"
# Nothing named like an encrypted field is shown in an error page or an error mail.
DEFAULT_EXCEPTION_REPORTER_FILTER = "encryption.reporting.EncryptedValuesFilter"
# Without them, keys made from SECRET_KEY: `check --deploy` warns. Old ones stay, behind the new.
AUDIT_KEYS: list[str] = audit_keys("AUDIT_KEY")
AUDIT_CHECKPOINT_KEYS: list[str] = audit_keys("AUDIT_CHECKPOINT_KEY")
AUDIT_CHECKPOINT_PUBLIC_KEYS: list[str] = listed("AUDIT_CHECKPOINT_PUBLIC_KEY")
# Without them, SECRET_KEY stands in: it cannot be changed then without forgetting locks and counts.
ACCOUNTS_FINGERPRINT_KEY = secret("LOGIN_NAME_SECRET", unlike="SECRET_KEY", is_required=False)
RATE_LIMITING_KEY = secret("RATE_LIMITING_SECRET", unlike="SECRET_KEY", is_required=False)
BACKUPS_SIGNING_SECRET = secret("BACKUP_SIGNING_SECRET", unlike="SECRET_KEY", is_required=False)
# Public halves of signers that are believed beside this one's: the next, older ones, other sites.
BACKUPS_TRUSTED_SIGNERS: list[str] = listed("BACKUP_TRUSTED_SIGNERS")
BACKUPS_RECIPIENTS: list[str] = listed("BACKUP_ENCRYPTION_KEY")
BACKUPS_IDENTITY_FILE = env.str("BACKUP_IDENTITY_FILE", "")
if BACKUPS_IDENTITY_FILE:
    BACKUPS_IDENTITY_FILE = str(BASE_DIR / BACKUPS_IDENTITY_FILE)
BACKUPS_POINT_IN_TIME: list[str] = listed("BACKUP_POINT_IN_TIME")
BACKUPS_RESTORES_RUN_HERE = not IS_PRODUCTION
BACKUPS_REQUIRE_FRESH = "sessions_tracking.services.require_fresh_request"
DEVELOPMENT_FACTOR = 1 if IS_PRODUCTION else 20
RATE_LIMITING_FACTOR = DEVELOPMENT_FACTOR

# --- The log: docs/logging.md ---------------------------------------------------------------------
LOGGING = logs.configuration(form=log_form(), level=one_of("LOG_LEVEL", LEVELS, default="INFO"))
LOGGING["loggers"]["_granian"] = {"propagate": True}  # a server process writes as the site does
