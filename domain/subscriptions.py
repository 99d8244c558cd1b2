"""Which webhook subscriptions a shop should have, how those it has differ, and what is wrong with each.

Shop-specific subscriptions only: those of `shopify.app.toml` are Shopify's to keep, and its API does not list them.
https://shopify.dev/docs/apps/build/webhooks/subscribe
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.health import is_ending, version_ends
from domain.topics import COMPLIANCE, ROUTES, SHOPIFYS

NAMESPACE = "sparklayer"
TOPICS = tuple(topic for topic, route in SHOPIFYS.items() if route.act not in COMPLIANCE)
COMPLIANCE_TOPICS = tuple(topic for topic, route in SHOPIFYS.items() if route.act in COMPLIANCE)

_PRODUCT_TOPICS = ("products/create", "products/update")
_CUSTOMER_TOPICS = ("customers/create", "customers/update", "customers/enable", "customers/disable")
_WITH_METAFIELDS = frozenset({*_PRODUCT_TOPICS, "customers/create", "customers/update"})


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


_PRODUCT_FIELDS = _words(
    "admin_graphql_api_id body_html category created_at handle has_variants_that_requires_components id image images "
    "media metafields options product_type published_at published_scope status tags template_suffix title updated_at "
    "variant_gids variants vendor"
)
# No tags and no consent since 2025-01.
_CUSTOMER_FIELDS = _words(
    "addresses admin_graphql_api_id created_at currency default_address email first_name id last_name metafields "
    "multipass_identifier note phone state tax_exempt tax_exemptions updated_at verified_email"
)
# What a message of the topic can contain; of other topics nothing is claimed.
FIELDS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_PRODUCT_TOPICS, _PRODUCT_FIELDS),
    **dict.fromkeys(_CUSTOMER_TOPICS, _CUSTOMER_FIELDS),
    "products/delete": _words("id"),
    "customers/delete": _words("id admin_graphql_api_id tax_exemptions"),
    "customer.tags_added": _words("customerId tags occurredAt"),
    "customer.tags_removed": _words("customerId tags occurredAt"),
}


@dataclass(frozen=True, slots=True)
class Ours:
    """What is the same for all: our address, our API version (`2026-10`), and who subscribes (`app` or `shop`)."""

    address: str
    version: str
    mode: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A subscription as it should be: everything that happens, whole, as JSON."""

    topic: str
    address: str
    metafield_namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as Shopify has it. `topic` in the table's spelling, or the enum's for one that is not there."""

    id: str
    topic: str
    address: str
    version: str
    include_fields: tuple[str, ...] = ()
    filter: str | None = None
    metafield_namespaces: tuple[str, ...] = ()
    metafields: tuple[str, ...] = ()
    format: str = "JSON"

    @property
    def number(self) -> str:
        return self.id.rsplit("/", 1)[-1]


class Kind(StrEnum):
    MISSING = "missing"
    STRAY = "stray"  # not one of those that should be there
    FLAWED = "flawed"  # it should be there, but not like this


@dataclass(frozen=True, slots=True)
class Finding:
    """`problem` goes on after "The subscription {topic}". `subscription` is its id, None for a missing one."""

    kind: Kind
    topic: str
    problem: str
    fix: str
    subscription: str | None = None

    @property
    def cause(self) -> str:
        return f"The subscription {self.topic} {self.problem}."


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order: remove, create, update. A subscription of an old API version is removed and created
    anew, for the version is given at birth.
    """

    remove: tuple[Subscription, ...] = ()
    create: tuple[Wish, ...] = ()
    update: tuple[tuple[Subscription, Wish], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def changes_something(self) -> bool:
        return bool(self.remove or self.create or self.update)


def enum_of(topic: str) -> str:
    """`customer.tags_added` as GraphQL spells it: `CUSTOMER_TAGS_ADDED`."""
    return topic.replace("/", "_").replace(".", "_").upper()


_TOPIC_OF = {enum_of(topic): topic for topic in SHOPIFYS}


def topic_of(enum: str) -> str:
    return _TOPIC_OF.get(enum, enum)


SCOPES = {"products": "read_products", "customers": "read_customers"}  # what each feed cannot do without


def desired(ours: Ours, scopes: Collection[str] | None = None) -> tuple[Wish, ...]:
    """In shop-specific mode every topic of the table that `scopes` (None: unknown, so all) permit; else nothing.

    Compliance topics exist in `shopify.app.toml` alone. A topic without its scope would be refused for ever.
    """
    if ours.mode != "shop":
        return ()
    permitted = [topic for topic in TOPICS if scopes is None or has_scope(scope_of(topic), scopes)]
    return tuple(Wish(topic, ours.address, (NAMESPACE,) if topic in _WITH_METAFIELDS else ()) for topic in permitted)


def scope_of(topic: str) -> str | None:
    """https://shopify.dev/docs/api/webhooks/latest names the scope of each topic."""
    if topic == "customers/merge":
        return "read_customer_merge"
    return SCOPES.get(ROUTES[topic].feed or "")


def has_scope(scope: str | None, scopes: Collection[str]) -> bool:
    """To write includes to read."""
    return scope is None or scope in scopes or scope.replace("read_", "write_", 1) in scopes


def compare(
    wishes: Sequence[Wish], actual: Iterable[Subscription], ours: Ours, now: datetime, *, renew_version: bool = True
) -> Plan:
    """How to come from `actual` to `wishes`, and what is wrong with what there is.

    `renew_version` False leaves a subscription of another API version as it is: should Shopify go on giving new ones
    that version, replacing them again and again would only lose messages.
    """
    by_topic: dict[str, list[Subscription]] = {wish.topic: [] for wish in wishes}
    strays: list[Subscription] = []
    for one in sorted(actual, key=lambda one: one.id):
        belongs = one.topic in by_topic and one.address == ours.address
        (by_topic[one.topic] if belongs else strays).append(one)
    findings = [_stray(one, ours) for one in strays]
    remove, create, update = strays, [], []
    for wish in wishes:
        found = sorted(by_topic[wish.topic], key=lambda one: bool(_differences(one, wish)))
        if not found:
            create.append(wish)
            findings.append(_missing(wish.topic))
            continue
        kept, *doubles = found
        remove += doubles
        findings += [_double(one) for one in doubles]
        findings += lint(kept, ours, now)
        if kept.version != ours.version and renew_version:
            remove.append(kept)
            create.append(wish)
        elif _differences(kept, wish):
            update.append((kept, wish))
            if not lint(kept, ours, now):
                findings.append(_unlike(kept, wish))
    return Plan(tuple(remove), tuple(create), tuple(update), tuple(findings))


def _differences(one: Subscription, wish: Wish) -> list[str]:
    has = {
        "include_fields": (one.include_fields, ()),
        "filter": (one.filter or None, None),
        "metafield_namespaces": (one.metafield_namespaces, wish.metafield_namespaces),
        "metafields": (one.metafields, ()),
        "format": (one.format, "JSON"),
    }
    return [name for name, (now, then) in has.items() if now != then]


FIX = "Run `flask subscriptions fix` for the shop"


def _missing(topic: str) -> Finding:
    fix = f"{FIX}; until then these changes are found by the regular comparison."
    return Finding(Kind.MISSING, topic, "is missing, so Shopify does not tell of these changes", fix)


def _stray(one: Subscription, ours: Ours) -> Finding:
    if one.address != ours.address:
        problem = "goes to an address that is not this app's"
    elif ours.mode == "shop":
        problem = "is for a topic that this app does not read"
    else:
        problem = "is the shop's own, left over beside those of the app, so each change is told twice"
    return Finding(Kind.STRAY, one.topic, problem, f"{FIX}, which removes it.", one.id)


def _double(one: Subscription) -> Finding:
    problem = "exists more than once, so each change is told twice"
    return Finding(Kind.STRAY, one.topic, problem, f"{FIX}, which removes the second.", one.id)


def _unlike(one: Subscription, wish: Wish) -> Finding:
    named = " and ".join(name.replace("_", " ") for name in _differences(one, wish))
    return Finding(Kind.FLAWED, one.topic, f"differs in its {named}", f"{FIX}, which corrects it.", one.id)


def lint(one: Subscription, ours: Ours, now: datetime) -> list[Finding]:
    """What Shopify accepts without a word and a receiver regrets."""
    problems = [problem for rule in _RULES if (problem := rule(one, ours, now))]
    return [Finding(Kind.FLAWED, one.topic, problem, fix, one.id) for problem, fix in problems]


Problem = tuple[str, str]


def _debounced(one: Subscription, _ours: Ours, _now: datetime) -> Problem | None:
    """Best practices, "Avoid debounces": of two messages with the same trimmed body the second is dropped."""
    if not one.include_fields or "updated_at" not in FIELDS.get(one.topic, ()) or "updated_at" in one.include_fields:
        return None
    return (
        "leaves updated_at out of its include_fields, so Shopify drops changes that look alike",
        "Add updated_at, or remove include_fields.",
    )


def _metafields_left_out(one: Subscription, _ours: Ours, _now: datetime) -> Problem | None:
    wanted = one.metafield_namespaces or one.metafields
    if not wanted or not one.include_fields or "metafields" in one.include_fields:
        return None
    return (
        "asks for metafields but leaves them out of its include_fields, so they never come",
        "Add metafields, or remove include_fields.",
    )


def _filtered_out(one: Subscription, _ours: Ours, _now: datetime) -> Problem | None:
    """Shopify accepts a filter on any name, and one that the message lacks lets nothing through."""
    known = FIELDS.get(one.topic)
    if known and one.include_fields:
        known &= frozenset(one.include_fields)
    absent = sorted(_filtered_fields(one.filter or "") - known) if known else []
    if not absent:
        return None
    return (
        f"has a filter on {', '.join(absent)}, which its messages do not contain, so nothing is ever delivered",
        "Remove the filter.",
    )


def _filtered_fields(text: str) -> frozenset[str]:
    unquoted = re.sub(r'"[^"]*"|\'[^\']*\'', "", text)
    # From a name's start alone, or a long one would be tried at each of its letters; a minus before it negates.
    return frozenset(re.findall(r"(?<![\w.])(?<![\w-]-)([A-Za-z_][\w-]*)(?:\.[\w.-]+)?\s*:", unquoted))


def _unreadable(one: Subscription, _ours: Ours, _now: datetime) -> Problem | None:
    if one.format == "JSON":
        return None
    return f"is sent as {one.format}, which this app does not read", "Change its format to JSON."


def _other_version(one: Subscription, ours: Ours, now: datetime) -> Problem | None:
    if one.version != ours.version:
        return (
            f"is written in API version {one.version}, but the app reads {ours.version}",
            f"Create it again with version {ours.version}.",
        )
    if is_ending(one.version, now):
        return (
            f"is written in API version {one.version}, which Shopify ends on {version_ends(one.version):%Y-%m-%d}",
            "Move the app to a newer API version.",
        )
    return None


_RULES: tuple[Callable[[Subscription, Ours, datetime], Problem | None], ...] = (
    _debounced,
    _metafields_left_out,
    _filtered_out,
    _unreadable,
    _other_version,
)
