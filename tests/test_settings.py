"""The environment: read once, typed, every problem at once, and no secret ever printed."""

import traceback
from base64 import urlsafe_b64encode

import pytest

from settings import HELP, BadSettings, read_settings, settings_or_exit

KEY, OLD_KEY = (urlsafe_b64encode(letter * 32).decode() for letter in (b"k", b"o"))
NEEDED = {
    "APP_URL": "https://sync.example.com",
    "DATABASE_URL": "postgresql://user:very-secret@db.example.com:5432/datasync",
    "REDIS_URL": "redis://:very-secret@redis.example.com:6379/0",
    "SHOPIFY_API_KEY": "client-id",
    "SHOPIFY_API_SECRET": "shpss_very-secret",
    "SECRET_KEY": "very-secret" * 4,
    "ENCRYPTION_KEYS": KEY,
}


def read(**changes):
    return read_settings(NEEDED | changes)


def problems(**changes):
    with pytest.raises(BadSettings) as caught:
        read(**changes)
    return str(caught.value)


def test_what_is_needed_is_enough_and_the_rest_is_as_the_contract_says():
    settings = read()

    assert settings.app_env == "production"
    assert settings.shopify_api_version == "2026-10"
    assert settings.shopify_admin_origin == "https://{shop}"
    assert settings.webhook_subscriptions == "app"
    assert (settings.reconcile_seconds, settings.complete_run_seconds) == (600, 3_600)
    assert settings.max_body_bytes == 10 * 1024 * 1024
    assert settings.webhook_secrets == ("shpss_very-secret",)
    assert (settings.ops_users, settings.sentry_dsn) == ((), None)


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_variable_is_named_with_what_to_set(name):
    with pytest.raises(BadSettings) as caught:
        read_settings({key: value for key, value in NEEDED.items() if key != name})

    assert str(caught.value) == f"  {name} is not set: {HELP[name]}"


def test_all_problems_are_told_at_once():
    with pytest.raises(BadSettings) as caught:
        read_settings({"PORT": "http", "APP_ENV": "staging"})

    told = str(caught.value).splitlines()
    assert {line.split()[0] for line in told} == {*NEEDED, "PORT", "APP_ENV"}


WRONG = [
    ("APP_ENV", "staging"),
    ("APP_URL", "http://sync.example.com"),
    ("APP_URL", "sync.example.com"),
    ("DATABASE_URL", "sqlite:///data.db"),
    ("DATABASE_URL", "mysql://user@host/db"),
    ("DATABASE_URL", ""),
    ("REDIS_URL", "http://localhost"),
    ("REDIS_URL", "localhost:6379"),
    ("SHOPIFY_API_KEY", " "),
    ("SHOPIFY_API_SECRET", ""),
    ("SHOPIFY_API_VERSION", "latest"),
    ("SHOPIFY_API_VERSION", "2026-11"),
    ("SHOPIFY_ADMIN_ORIGIN", "https://elsewhere.example"),
    ("SHOPIFY_ADMIN_ORIGIN", "http://127.0.0.1:9292/{shop}"),
    ("SHOPIFY_ADMIN_ORIGIN", "https://evil.example/{shop}"),
    ("WEBHOOK_SUBSCRIPTIONS", "both"),
    ("SECRET_KEY", "short"),
    ("ENCRYPTION_KEYS", "not a key"),
    ("ENCRYPTION_KEYS", ""),
    ("ENCRYPTION_KEYS", f"{KEY},short"),
    ("OPS_USERS", "alice:admin:scrypt:1$x$y"),
    ("OPS_USERS", "alice:viewer:plain-password"),
    ("OPS_USERS", ":viewer:scrypt:1$x$y"),
    ("OPS_USERS", "alice"),
    ("RECONCILE_SECONDS", "0"),
    ("RECONCILE_SECONDS", "-5"),
    ("RECONCILE_SECONDS", "ten"),
    ("RECONCILE_SECONDS", "1e3"),
    ("COMPLETE_RUN_SECONDS", "9" * 20),
    ("SENTRY_DSN", "ftp://sentry.example"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("MAX_BODY_BYTES", "1"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_with_what_to_set_and_not_repeated(name, value):
    told = problems(**{name: value})

    assert told.startswith(f"  {name} ")
    assert told.endswith(HELP[name])
    assert len(told.splitlines()) == 1
    assert len(value) < 6 or value not in told.removesuffix(HELP[name])


@pytest.mark.parametrize("env", ["development", "test"])
def test_plain_http_and_a_pretend_shopify_are_for_this_machine_alone(env):
    local = {"APP_URL": "http://127.0.0.1:8000/", "SHOPIFY_ADMIN_ORIGIN": "http://127.0.0.1:9292/{shop}/"}

    settings = read(APP_ENV=env, **local)

    assert (settings.app_url, settings.shopify_admin_origin) == (
        "http://127.0.0.1:8000",
        "http://127.0.0.1:9292/{shop}",
    )
    assert {line.split()[0] for line in problems(**local).splitlines()} == set(local)


def test_short_intervals_are_legal_in_tests():
    settings = read(APP_ENV="test", RECONCILE_SECONDS="5", COMPLETE_RUN_SECONDS="10")

    assert (settings.reconcile_seconds, settings.complete_run_seconds) == (5, 10)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_however_a_host_writes_postgres_the_driver_is_named(scheme):
    assert (
        read(DATABASE_URL=f"{scheme}://u@h/d?sslmode=require").database_url
        == "postgresql+psycopg://u@h/d?sslmode=require"
    )


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("valkey://h:1/0", "redis://h:1/0"),
        ("valkeys://h:1/0", "rediss://h:1/0"),
        ("rediss://h:1/0", "rediss://h:1/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_valkey_is_a_redis(given, taken):
    assert read(REDIS_URL=given).redis_url == taken


def test_secrets_are_kept_newest_first_and_the_current_one_signs():
    settings = read(SHOPIFY_API_SECRET="new", SHOPIFY_API_SECRET_PREVIOUS="old")

    assert settings.webhook_secrets == ("new", "old")
    assert settings.shopify_api_secret == "new"


def test_encryption_keys_are_kept_newest_first():
    assert read(ENCRYPTION_KEYS=f" {KEY} , {OLD_KEY},").encryption_keys == (KEY, OLD_KEY)


def test_ops_users_are_read_with_the_colons_of_their_hashes():
    alice, bob = read(OPS_USERS="alice:operator:scrypt:32768:8:1$salt$hash  bob:viewer:pbkdf2:sha256:1$s$h").ops_users

    assert (alice.name, alice.role, alice.password_hash) == ("alice", "operator", "scrypt:32768:8:1$salt$hash")
    assert (bob.name, bob.role, bob.password_hash) == ("bob", "viewer", "pbkdf2:sha256:1$s$h")


def test_no_secret_is_in_the_repr():
    hashed = "scrypt:32768:8:1$salt$very-secret"
    dsn = "https://very-secret@sentry.example/1"
    settings = read(OPS_USERS=f"alice:operator:{hashed}", SENTRY_DSN=dsn, SHOPIFY_API_SECRET_PREVIOUS="very-secret-too")

    assert "very-secret" not in repr(settings)
    assert KEY not in repr(settings)
    assert "client-id" in repr(settings)


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        read().port = 1


def test_a_process_without_its_environment_leaves_with_2_and_says_why(monkeypatch, capsys):
    for name in HELP:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRET_KEY", "very-secret")

    with pytest.raises(SystemExit) as left:
        settings_or_exit()

    told = capsys.readouterr().err
    assert left.value.code == 2
    assert "DATABASE_URL is not set" in told
    assert "SECRET_KEY is shorter than 32 characters" in told
    assert "very-secret" not in told + "".join(traceback.format_exception(left.value))


def test_the_process_environment_is_read(monkeypatch):
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PORT", "9000")

    assert settings_or_exit().port == 9000


def test_without_a_mail_server_nobody_is_told_by_mail():
    assert (read().smtp_url, read().mail_from) == (None, None)


def test_a_mail_server_needs_an_address_that_mail_comes_from():
    assert (
        problems(SMTP_URL="smtp://mail.example.com") == f"  MAIL_FROM is not set, but SMTP_URL is: {HELP['MAIL_FROM']}"
    )

    settings = read(SMTP_URL="smtps://user:very-secret@mail.example.com:465", MAIL_FROM="Data Sync <sync@example.com>")
    assert settings.mail_from == "Data Sync <sync@example.com>"
    assert "very-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "mail.example.com:25"),
        ("SMTP_URL", "smtp://"),
        ("SMTP_URL", "smtp://mail.example.com:port"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "a@example.com\nBcc: b@example.com"),
    ],
)
def test_what_is_no_mail_server_or_address_is_refused(name, value):
    assert problems(**{"MAIL_FROM": "a@example.com", name: value}).strip().startswith(name)


def test_a_proxy_that_names_people_must_prove_itself():
    missing = f"  OPS_PROXY_SECRET is not set, but OPS_PROXY_HEADER is: {HELP['OPS_PROXY_SECRET']}"
    assert problems(OPS_PROXY_HEADER="X-Forwarded-User") == missing
    assert (
        problems(OPS_PROXY_HEADER="X-Forwarded-User", OPS_PROXY_SECRET="short").strip().startswith("OPS_PROXY_SECRET")
    )
    assert problems(OPS_PROXY_HEADER="no header: x").strip().startswith("OPS_PROXY_HEADER")

    settings = read(
        OPS_PROXY_HEADER="X-Forwarded-User", OPS_PROXY_SECRET="very-secret" * 4, OPS_USERS="pat:viewer:proxy"
    )
    assert not settings.ops_users[0].has_password
    assert "very-secret" not in repr(settings)


def test_alerts_by_mail_need_a_mail_server():
    assert problems(ALERT_MAIL="oncall@example.com") == f"  SMTP_URL is not set, but ALERT_MAIL is: {HELP['SMTP_URL']}"
    read(ALERT_MAIL="oncall@example.com", SMTP_URL="smtp://mail.example.com", MAIL_FROM="sync@example.com")


@pytest.mark.parametrize(
    ("env", "address", "taken"),
    [
        ("production", "https://alerts.example.com/hook", True),
        ("production", "http://alerts.example.com/hook", False),
        ("test", "http://127.0.0.1:9000/hook", True),
        ("production", "alerts.example.com", False),
        ("production", "https://", False),
    ],
)
def test_alerts_are_posted_over_tls(env, address, taken):
    changes = {"APP_ENV": env, "ALERT_URL": address, "APP_URL": "https://sync.example.com"}
    if taken:
        assert read(**changes).alert_url == address
        assert address not in repr(read(**changes))
    else:
        assert "ALERT_URL is not an https address" in problems(**changes)
