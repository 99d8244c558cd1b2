"""Every environment variable, read once, typed. A missing or bad one stops the start and says what to set."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from environs import Env, EnvError

APP_ENVS = ("production", "development", "test")
PROXIED = ("proxy",)
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")


INCOMPLETE = "Data Sync cannot start, its environment is incomplete:"


class BadSettings(Exception):
    """The environment does not say enough to start. The message lists what to set, one line each."""


@dataclass(frozen=True, slots=True)
class OpsUser:
    name: str
    role: str
    password_hash: str = field(repr=False)

    @property
    def has_password(self) -> bool:
        """A Werkzeug hash has `$` in it; the word `proxy` in its place is for who signs in elsewhere."""
        return "$" in self.password_hash


@dataclass(frozen=True, slots=True)
class Settings:
    """What the processes were told. Secrets are kept out of `repr`, so that no log or traceback can print them."""

    app_env: str
    app_url: str
    port: int
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    shopify_api_key: str
    webhook_secrets: tuple[str, ...] = field(repr=False)
    shopify_api_version: str
    shopify_admin_origin: str
    webhook_subscriptions: str
    secret_key: str = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)
    ops_users: tuple[OpsUser, ...]
    reconcile_seconds: int
    complete_run_seconds: int
    bulk_run_records: int
    removal_brake_percent: int
    removal_brake_records: int
    sentry_dsn: str | None = field(repr=False)
    max_body_bytes: int
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    alert_mail: str | None = None
    alert_url: str | None = field(default=None, repr=False)
    ops_proxy_header: str | None = None
    ops_proxy_secret: str | None = field(default=None, repr=False)

    @property
    def shopify_api_secret(self) -> str:
        """The current secret: signs token requests. Verification takes all of `webhook_secrets`, newest first."""
        return self.webhook_secrets[0]


def read_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read the environment (or `environ`). Raises BadSettings with every problem at once."""
    reader = _Reader(environ)
    app_env = reader.take("APP_ENV", "production", lambda v: _one_of(v, APP_ENVS))
    local = app_env in ("development", "test")
    secrets = (reader.take("SHOPIFY_API_SECRET", None, _not_blank), reader.take("SHOPIFY_API_SECRET_PREVIOUS", "", str))
    settings = Settings(
        app_env=app_env,
        app_url=reader.take("APP_URL", None, lambda v: _app_url(v, local)),
        port=reader.take("PORT", "8000", lambda v: _number(v, 1, 65535)),
        database_url=reader.take("DATABASE_URL", None, _database_url),
        redis_url=reader.take("REDIS_URL", None, _redis_url),
        shopify_api_key=reader.take("SHOPIFY_API_KEY", None, _not_blank),
        webhook_secrets=tuple(secret for secret in secrets if secret),
        shopify_api_version=reader.take("SHOPIFY_API_VERSION", "2026-10", _version),
        shopify_admin_origin=reader.take("SHOPIFY_ADMIN_ORIGIN", "https://{shop}", lambda v: _origin(v, local)),
        webhook_subscriptions=reader.take("WEBHOOK_SUBSCRIPTIONS", "app", lambda v: _one_of(v, ("app", "shop"))),
        secret_key=reader.take("SECRET_KEY", None, _secret_key),
        encryption_keys=reader.take("ENCRYPTION_KEYS", None, _fernet_keys),
        ops_users=reader.take("OPS_USERS", "", _ops_users),
        reconcile_seconds=reader.take("RECONCILE_SECONDS", "600", lambda v: _number(v, 1, 86_400)),
        complete_run_seconds=reader.take("COMPLETE_RUN_SECONDS", "3600", lambda v: _number(v, 1, 30 * 86_400)),
        bulk_run_records=reader.take("BULK_RUN_RECORDS", "5000", lambda v: _number(v, 0, 10_000_000)),
        removal_brake_percent=reader.take("REMOVAL_BRAKE_PERCENT", "10", lambda v: _number(v, 0, 100)),
        removal_brake_records=reader.take("REMOVAL_BRAKE_RECORDS", "20", lambda v: _number(v, 0, 10_000_000)),
        sentry_dsn=reader.take("SENTRY_DSN", "", _dsn),
        max_body_bytes=reader.take("MAX_BODY_BYTES", str(10 * 1024 * 1024), lambda v: _number(v, 1024, 1 << 30)),
        smtp_url=reader.take("SMTP_URL", "", _smtp_url),
        mail_from=reader.take("MAIL_FROM", "", _mail_address),
        alert_mail=reader.take("ALERT_MAIL", "", _mail_address),
        alert_url=reader.take("ALERT_URL", "", lambda v: _alert_url(v, local)),
        ops_proxy_header=reader.take("OPS_PROXY_HEADER", "", _header_name),
        ops_proxy_secret=reader.take("OPS_PROXY_SECRET", "", lambda v: _secret_key(v) if v else None),
    )
    if settings.alert_mail and not settings.smtp_url:
        reader.problems.append(f"  SMTP_URL is not set, but ALERT_MAIL is: {HELP['SMTP_URL']}")
    if settings.smtp_url and not settings.mail_from:
        reader.problems.append(f"  MAIL_FROM is not set, but SMTP_URL is: {HELP['MAIL_FROM']}")
    if settings.ops_proxy_header and not settings.ops_proxy_secret:
        reader.problems.append(f"  OPS_PROXY_SECRET is not set, but OPS_PROXY_HEADER is: {HELP['OPS_PROXY_SECRET']}")
    if reader.problems:
        raise BadSettings("\n".join(reader.problems))
    return settings


def settings_or_exit() -> Settings:
    """For the processes: print what is wrong, one line each, and leave with 2 (usage)."""
    try:
        return read_settings()
    except BadSettings as problems:
        sys.stderr.write(f"{INCOMPLETE}\n{problems}\n")
        raise SystemExit(2) from None


class _Reader:
    """Collects every problem, so that a newcomer mends the environment once and not variable by variable."""

    def __init__(self, environ: dict[str, str] | None) -> None:
        self.env = Env()
        self.environ = environ
        self.problems: list[str] = []

    def take(self, name: str, default: str | None, read: Callable[[str], Any]) -> Any:
        try:
            text = self._text(name, default)
            return read(text)
        except EnvError:
            self.problems.append(f"  {name} is not set: {HELP[name]}")
        except ValueError as problem:
            self.problems.append(f"  {name} {problem}: {HELP[name]}")
        return default or ""

    def _text(self, name: str, default: str | None) -> str:
        if self.environ is not None:
            if name not in self.environ and default is None:
                raise EnvError(name)
            return self.environ.get(name, default or "")
        return str(self.env.str(name, default) if default is not None else self.env.str(name))


HELP = {
    "APP_ENV": "production, development or test",
    "APP_URL": "the address Shopify and merchants reach this app at, for example https://sync.example.com",
    "PORT": "the port the web process listens on",
    "DATABASE_URL": "a Postgres address, for example postgresql://user:password@host:5432/datasync",
    "REDIS_URL": "a Redis or Valkey address, for example redis://host:6379/0",
    "SHOPIFY_API_KEY": "the app's client id, from the Shopify Dev Dashboard",
    "SHOPIFY_API_SECRET": "the app's client secret, from the Shopify Dev Dashboard",
    "SHOPIFY_API_SECRET_PREVIOUS": "the secret before the last rotation, or nothing",
    "SHOPIFY_API_VERSION": "a version of the Admin API, for example 2026-10",
    "SHOPIFY_ADMIN_ORIGIN": "https://{shop}; another origin only with APP_ENV=development or test",
    "WEBHOOK_SUBSCRIPTIONS": "app (shopify.app.toml) or shop (Admin API)",
    "SECRET_KEY": "at least 32 random characters: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
    "ENCRYPTION_KEYS": "Fernet keys, comma-separated, newest first: "
    "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
    "OPS_USERS": "name:role:hash, space-separated, role viewer or operator, hash from `flask ops hash-password`, or "
    "the word proxy for who has no password here and is named by OPS_PROXY_HEADER",
    "RECONCILE_SECONDS": "seconds between two runs of a feed, 600 for every ten minutes",
    "COMPLETE_RUN_SECONDS": "seconds between two complete runs of a feed, 3600 for hourly",
    "BULK_RUN_RECORDS": "the size of a feed above which a complete run asks for a bulk operation",
    "REMOVAL_BRAKE_PERCENT": "the share of a feed that a run may remove without confirmation",
    "REMOVAL_BRAKE_RECORDS": "how many records a run may always remove without confirmation",
    "SENTRY_DSN": "where Sentry listens, or nothing",
    "MAX_BODY_BYTES": "the largest webhook body taken, in bytes",
    "SMTP_URL": "the mail server for notices, for example smtp://user:password@mail.example.com:587 (STARTTLS) or "
    "smtps://…:465; or nothing, then nobody is told by mail",
    "OPS_PROXY_HEADER": "the header in which a proxy in front of /ops names who has signed in there, for example "
    "X-Forwarded-User; or nothing",
    "OPS_PROXY_SECRET": "at least 32 random characters, which that proxy sends along as X-Ops-Proxy-Secret",
    "MAIL_FROM": "the address that notices come from, for example data-sync@example.com",
    "ALERT_MAIL": "whom to mail when deliveries die, wait too long or are missed, for example oncall@example.com",
    "ALERT_URL": "where to post the same, signed, for example https://alerts.example.com/data-sync",
}


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


def _one_of(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValueError("is none of the words it may be")
    return text


def _number(text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"\d{1,12}", text) or not low <= int(text) <= high:
        raise ValueError(f"is not a whole number from {low} to {high}")
    return int(text)


def _database_url(text: str) -> str:
    """SQLAlchemy wants its driver named; hosts hand out `postgres://`."""
    match = re.fullmatch(r"postgres(?:ql)?(?:\+psycopg)?://(.+)", text)
    if not match:
        raise ValueError("is not a Postgres address")
    return f"postgresql+psycopg://{match[1]}"


def _redis_url(text: str) -> str:
    if urlsplit(text).scheme not in ("redis", "rediss", "unix", "valkey", "valkeys"):
        raise ValueError("is not a Redis address")
    return text.replace("valkeys://", "rediss://", 1).replace("valkey://", "redis://", 1)


def _app_url(text: str, local: bool) -> str:
    url = urlsplit(text)
    if url.scheme == "https" or (url.scheme == "http" and local):
        return text.rstrip("/")
    raise ValueError("is not an https address")


def _origin(text: str, local: bool) -> str:
    if "{shop}" not in text:
        raise ValueError("does not contain {shop}")
    if text == "https://{shop}":
        return text
    if not local:
        raise ValueError("would send shops' tokens elsewhere than to Shopify")
    if urlsplit(text).scheme not in ("http", "https"):
        raise ValueError("is not an http address")
    return text.rstrip("/")


def _version(text: str) -> str:
    if not re.fullmatch(r"20\d\d-(01|04|07|10)|unstable", text):
        raise ValueError("is not a version Shopify could have")
    return text


def _secret_key(text: str) -> str:
    if len(text) < 32:
        raise ValueError("is shorter than 32 characters")
    return text


def _fernet_keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    if not keys:
        raise ValueError("is empty")
    for key in keys:
        try:
            Fernet(key)
        except (ValueError, TypeError):
            raise ValueError("holds something that is no Fernet key") from None
    return keys


def _ops_users(text: str) -> tuple[OpsUser, ...]:
    """Werkzeug's hashes contain colons (`scrypt:32768:8:1$…`), so only the first two separate."""
    users = []
    for word in text.split():
        name, _, rest = word.partition(":")
        role, _, password_hash = rest.partition(":")
        user = OpsUser(name, role, password_hash)
        if not name or role not in ("viewer", "operator") or not (user.has_password or password_hash in PROXIED):
            raise ValueError("has a user who is not name:role:hash")
        users.append(user)
    return tuple(users)


def _header_name(text: str) -> str | None:
    if text and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", text):
        raise ValueError("is not a header's name")
    return text or None


def _dsn(text: str) -> str | None:
    if text and urlsplit(text).scheme not in ("http", "https"):
        raise ValueError("is not a Sentry address")
    return text or None


def _smtp_url(text: str) -> str | None:
    url = urlsplit(text)
    if text and (url.scheme not in ("smtp", "smtps") or not url.hostname or url.port == 0):
        raise ValueError("is not a mail server's address")
    return text or None


def _alert_url(text: str, local: bool) -> str | None:
    url = urlsplit(text)
    if text and not (url.hostname and (url.scheme == "https" or (url.scheme == "http" and local))):
        raise ValueError("is not an https address")
    return text or None


def _mail_address(text: str) -> str | None:
    if text and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+|[^<>\r\n]+ <[^@\s<>]+@[^@\s<>]+>", text):
        raise ValueError("is not a mail address")
    return text or None
