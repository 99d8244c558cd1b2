"""What a merchant may set: who is imported, how often feeds are compared, and whom to tell when one is not green."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from adapters import database, runs, shops
from adapters.vault import Vault
from domain.eligibility import Rule, same_tag


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """Intervals are None where everybody's hold, addresses None where nobody is to be told."""

    tag: str = "b2b"
    ignored_keys: frozenset[str] = frozenset()
    reconcile_seconds: int | None = None
    complete_run_seconds: int | None = None
    notify_mail: str | None = field(default=None, repr=False)
    notify_url: str | None = field(default=None, repr=False)
    notify_after_minutes: int = 30


_READ = text("""
    SELECT b2b_tag, ignored_keys, reconcile_seconds, complete_run_seconds, notify_mail, notify_url, notify_after_minutes
    FROM shops WHERE domain = :shop
""")


def read(db: Connection, vault: Vault, shop: str) -> ShopSettings:
    """A known shop's settings."""
    row = db.execute(_READ, {"shop": shop}).one()
    return ShopSettings(
        row.b2b_tag,
        frozenset(row.ignored_keys),
        row.reconcile_seconds,
        row.complete_run_seconds,
        _opened(vault, row.notify_mail),
        _opened(vault, row.notify_url),
        row.notify_after_minutes,
    )


def _opened(vault: Vault, sealed: bytes | None) -> str | None:
    return vault.open(sealed).decode() if sealed is not None else None


# A run that is further away than the new interval comes sooner; a longer interval begins after the next run.
_SOONER = text("""
    UPDATE feeds f
    SET next_run_at = least(f.next_run_at, now() + make_interval(secs => s.reconcile_seconds)),
        next_complete_at = least(f.next_complete_at, now() + make_interval(secs => s.complete_run_seconds))
    FROM shops s WHERE s.domain = f.shop AND f.shop = :shop
""")
_CHANGE = text("""
    UPDATE shops
    SET b2b_tag = :tag, ignored_keys = :ignored_keys, reconcile_seconds = :reconcile_seconds,
        complete_run_seconds = :complete_run_seconds, notify_mail = :notify_mail, notify_url = :notify_url,
        notify_after_minutes = :notify_after_minutes,
        rule_changed_at = CASE WHEN :rule_changes THEN clock_timestamp() ELSE rule_changed_at END
    WHERE domain = :shop
    RETURNING rule_changed_at
""")


def change(db: Connection, vault: Vault, shop: str, wishes: ShopSettings, who: str | None = None) -> bool:
    """Settings as wished, in the caller's transaction; whether who is imported changes. If so, all customers are read.

    Waits for the turn that is writing this shop's customers: what it judges by the old rule is committed before, and
    the next one sees the new rule.
    """
    database.sole_writer(db, shop, "customers")
    rule_changes = _means_others(shops.rule(db, shop), wishes)
    values = {
        "shop": shop,
        "tag": wishes.tag,
        "ignored_keys": sorted(wishes.ignored_keys),
        "reconcile_seconds": wishes.reconcile_seconds,
        "complete_run_seconds": wishes.complete_run_seconds,
        "notify_mail": _sealed(vault, wishes.notify_mail),
        "notify_url": _sealed(vault, wishes.notify_url),
        "notify_after_minutes": wishes.notify_after_minutes,
        "rule_changes": rule_changes,
    }
    changed_at = db.execute(_CHANGE, values).scalar_one()
    if rule_changes:
        _read_all_customers(db, shop, changed_at, who)
    db.execute(_SOONER, {"shop": shop})
    return rule_changes


def _means_others(rule: Rule | None, wishes: ShopSettings) -> bool:
    """`B2B ` written for `b2b` lets nobody else in."""
    return rule is None or not same_tag(rule.tag, wishes.tag) or rule.ignored_keys != wishes.ignored_keys


def _sealed(vault: Vault, clear: str | None) -> bytes | None:
    return vault.seal(clear.encode()) if clear is not None else None


def _read_all_customers(db: Connection, shop: str, changed_at: datetime, who: str | None) -> None:
    """A complete run at once, or right after the one that is going: that one has judged some by the old rule.

    `runs.take_due` sees to it that the next run is a complete one, and goes on seeing to it until one has succeeded.
    """
    is_new = False
    if db.execute(text("SELECT state = 'active' FROM shops WHERE domain = :shop"), {"shop": shop}).scalar_one():
        run, is_new = runs.start(db, shop, "customers", "refresh", complete=True, who=who)
    if is_new:
        # The transaction's own clock stood still before it had the lock.
        statement = text("UPDATE runs SET started_at = :at WHERE id = :id")
        db.execute(statement, {"at": changed_at, "id": run.id})
    else:
        statement = text("""UPDATE feeds SET next_run_at = least(next_run_at, now())
                            WHERE shop = :shop AND feed = 'customers'""")
        db.execute(statement, {"shop": shop})


def grounds(db: Connection, shop: str) -> list[tuple[str, str, int]]:
    """Why today's members belong: (`tag` or `metafield`, which one, how many), most first."""
    statement = text("""
        SELECT rule, CASE WHEN rule = 'tag' THEN '' ELSE matched END AS matched, count(*) AS members
        FROM customers WHERE shop = :shop AND state = 'member' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
    """)
    return [(row.rule, row.matched, row.members) for row in db.execute(statement, {"shop": shop})]
