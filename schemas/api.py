"""What the API answers, one schema each: the document at `/api/v1/openapi.json` is made of them, and the tests hold
every answer against its own.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from schemas.api_fields import (
    Answer,
    by_name,
    identity,
    many,
    moment,
    number,
    one,
    share,
    text,
    texts,
    word,
    yes_no,
)
from schemas.api_records import CustomerRecord, ProductRecord

FEEDS = ("products", "customers")
SEVERITIES = ("error", "warning", "info")
OUTCOMES = ("applied", "unchanged", "superseded", "filtered", "deleted", "dead")
CAUSES = ("never_delivered", "late", "dead", "wrongly_filtered", "no_webhook", "other_run")


class Issue(Answer):
    code = text(example="SKU_DUPLICATE")
    severity = word(*SEVERITIES)
    path = text("Where in the record, as the merchant sees it.", example="variants[73565218408751].sku")
    snippet = text("The offending value, masked, at most 80 characters.", null=True)
    sentence = text("What is wrong.")
    fix = text("What its owner can do.")
    first_seen = moment()
    last_seen = moment()
    times_seen = number()


class ListedIssue(Issue):
    resource_id = identity("The record it is about; 0 when it is about the feed.")


class Absence(Answer):
    state = word("removed", "not_eligible", "waiting", "never_seen", "malformed")
    sentence = text("Why it is not here, and what would change that.")
    since = moment(null=True)


class Found(Answer):
    """What a lookup says of each record it found."""

    id = identity()
    match = text("What it was found by.", example="variant_sku")
    as_of = moment("When this state of the record was told or read.")
    source = word("webhook", "run", "fetch", about="What brought it last.")
    issues = many(Issue)
    admin_url = text("Where it is edited in Shopify's admin.")


class FoundProduct(Found):
    record = one(ProductRecord)


class FoundCustomer(Found):
    record = one(CustomerRecord)


READ_AS = "What the question turned out to be, such as"


class ProductLookup(Answer):
    query = text(example="ABC-1")
    read_as = text(f"{READ_AS} sku, id, gid, admin_url, handle, barcode, title or malformed.", example="sku")
    results = many(FoundProduct)
    absent = one(Absence, "Why there are no results; null when there are.", null=True)


class CustomerLookup(Answer):
    query = text(example="buyer@example.com")
    read_as = text(f"{READ_AS} id, gid, admin_url, email, phone, name or malformed.", example="email")
    results = many(FoundCustomer)
    absent = one(Absence, "Why there are no results; null when there are.", null=True)


class Step(Answer):
    at = moment()
    delivery = identity("The delivery's id.", example=4711)
    topic = text(example="products/update")
    sentence = text()


class ProductExplanation(ProductLookup):
    feed = word("products")
    sentence = text("In short.")
    steps = many(Step, "Newest first.")


class CustomerExplanation(CustomerLookup):
    feed = word("customers")
    sentence = text("In short.")
    steps = many(Step, "Newest first.")


class EitherExplanation(fields.Field[Any]):
    """Of a product or of a customer: `feed` says which."""

    either = (ProductExplanation, CustomerExplanation)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        schema = CustomerExplanation if isinstance(value, Mapping) and value.get("feed") == "customers" else None
        return (schema or ProductExplanation)().load(value)


class Explanation(Answer):
    query = text()
    feeds = fields.List(EitherExplanation(), required=True)


class HistoryStep(Answer):
    at = moment("When it was received.")
    delivery = identity("The delivery's id.", example=4711)
    topic = text(example="products/update")
    run = identity("The run that found the difference, if one did.", null=True, example=17)
    outcome = word(*OUTCOMES, "waiting")
    sentence = text("What was heard.")
    became = text("What became of it.")


class History(Answer):
    feed = word(*FEEDS)
    id = identity()
    history = many(HistoryStep, "The latest 100, newest first.")


class Delivery(Answer):
    id = identity(example=4711)
    shop = text(example="acme.myshopify.com")
    topic = text(example="product/fetch")
    feed = word(*FEEDS, null=True)
    resource_id = identity(null=True)
    webhook_id = text()
    source = word("webhook", "run", "fetch", "replay", "operator")
    lane = word("live", "bulk")
    state = word("waiting", "closed")
    outcome = word(*OUTCOMES, null=True)
    reason = text(null=True)
    attempts = number()
    copies = number("How often Shopify sent it.")
    triggered_at = moment()
    received_at = moment()
    closed_at = moment(null=True)


class OpenIssues(Answer):
    error = number()
    warning = number()
    info = number()


class Running(Answer):
    id = identity(example=17)
    trigger = word("install", "schedule", "refresh", "command")
    complete = yes_no()
    progress = share("How much of the feed is read; null while Shopify has not said how much there is.")
    eta_seconds = number(null=True)
    seen = number("Records read so far.")
    expected = number(null=True)


class Feed(Answer):
    feed = word(*FEEDS)
    state = word("ok", "ok_with_errors", "no_data")
    reason = text("Null when all is well.", null=True, example="issues")
    sentence = text()
    synchronised = number("Records that belong and exist.", example=120)
    expected = number("How many there should be; null when unknown.", null=True, example=120)
    last_import_at = moment("When anything was last applied, or found unchanged by a run.", null=True)
    last_complete_at = moment(null=True)
    last_attempt_at = moment(null=True)
    open_issues = one(OpenIssues)
    waiting = number("Deliveries that are not applied yet.")
    running = one(Running, "The run that is going.", null=True)
    next_run_at = moment(null=True)


class Feeds(Answer):
    feeds = many(Feed, "Both.")


class Run(Answer):
    id = identity(example=17)
    shop = text(example="acme.myshopify.com")
    feed = word(*FEEDS)
    trigger = word("install", "schedule", "refresh", "command")
    who = text("Shopify's id of the person who asked for it.", null=True)
    complete = yes_no("Whether everything is read, or only what changed.")
    state = word(
        "running", "finished", "failed", "held", about="held: it would remove so much that a person must confirm."
    )
    seen = number()
    created = number()
    changed = number()
    unchanged = number()
    removed = number()
    rejected = number()
    expected = number(null=True)
    started_at = moment()
    finished_at = moment(null=True)
    reason = text(null=True)
    progress = share("How much of the feed is read; null while Shopify has not said how much there is.")
    eta_seconds = number(null=True)


class Runs(Answer):
    runs = many(Run, "Newest first, up to 100.")
    next = identity("Ask for the next page with `after`; null on the last one.", null=True, example=16)


class Issues(Answer):
    feed = word(*FEEDS)
    issues = many(ListedIssue, "By record, up to 100.")
    next = text("Ask for the next page with `after`; null on the last one.", null=True)


class IssueGroup(Answer):
    code = text(example="SKU_DUPLICATE")
    severity = word(*SEVERITIES)
    sentence = text("Of the first of them; `varies` says whether the others read differently.")
    fix = text()
    varies = yes_no()
    issues = number()
    records = number("How many records have one.")
    first_seen = moment()
    last_seen = moment()


class IssueGroups(Answer):
    feed = word(*FEEDS)
    groups = many(IssueGroup, "By code, the gravest first.")


class Gap(Answer):
    feed = word(*FEEDS)
    id = identity("The record's id.")
    topic = text("What should have told of the change; null where Shopify has no such webhook.", null=True)
    cause = word(*CAUSES)
    changed_at = moment("Null where Shopify's clock did not move.", null=True)
    repaired_at = moment()
    run = identity("The run that found it.", example=17)


class Gaps(Answer):
    gaps = many(Gap, "Newest first, up to 1,000.")
    next = identity("Ask for the next page with `after`; null on the last one.", null=True, example=16)
    counts = by_name(fields.Integer(strict=True), "By cause, on all pages.")
    days = by_name(
        fields.Dict(keys=fields.String(), values=fields.Integer(strict=True)), "By day and topic, on all pages."
    )
    sentence = text()


COUNTED = ("start", "arrived", "applied", "filtered", "dead", "repaired")


class Period(Answer):
    start = moment("An hour or a day in UTC begins.")
    arrived = number("Webhooks.")
    applied = number("Webhooks that were applied, removals included.")
    filtered = number("Webhooks about what does not belong.")
    dead = number("Webhooks that could not be applied.")
    repaired = number("Changes that a run had to find.")


class Span(Answer):
    """Spans are kept by size, not one by one, so a percentile lies between two bounds."""

    at_least = fields.Float(required=True, metadata={"description": "Seconds."})
    less_than = fields.Float(required=True, allow_none=True, metadata={"description": "Seconds; null: a day or more."})


class Freshness(Answer):
    """From the change in Shopify to the mirror; null when nothing changed."""

    p50 = one(Span, null=True)
    p95 = one(Span, null=True)
    p99 = one(Span, null=True)


class Activity(Answer):
    feed = word(*FEEDS)
    step = word("hour", "day")
    periods = many(Period, "Oldest first, empty ones included.")
    freshness = one(Freshness)


class Settings(Answer):
    tag = text("Customers with this tag are imported.", example="b2b")
    ignored_keys = texts("Keys of the namespace sparklayer that do not make a customer belong.")
    reconcile_seconds = number("Between two comparisons; null: as everybody.", null=True)
    complete_run_seconds = number("Between two complete ones; null: as everybody.", null=True)
    notify_mail = text("Who is told by mail when a feed leaves green.", null=True)
    notify_url = text("Where that is posted to.", null=True)
    notify_after_minutes = number("For how long a feed must not have been green.")


# What went wrong.


class Problem(Answer):
    """RFC 9457."""

    type = text(example="about:blank")
    title = text(example="Bad Request")
    status = number(example=400)
    detail = text("What happened, and what to do.")


class BadRequest(Problem):
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "By the name of each parameter or setting that cannot be used: what it must be."},
    )


class AlreadyRunning(Problem):
    run = one(Run, "The run that is going.")
