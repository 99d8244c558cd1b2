"""What the API is asked, one schema for the parameters of each address and for each body."""

from typing import Any

import orjson
from marshmallow import ValidationError, fields

from domain.text import storable
from schemas.api import FEEDS, SEVERITIES
from schemas.api_fields import Change, Question, choice, since, typed, whole, wish

MOST_DAYS = 30  # of activity
LONGEST_SEARCH = 255


class ProductQuestion(Question):
    q = typed(
        "A SKU, a product's or variant's id, GID or address in Shopify, a handle, a barcode, or how a title begins.",
        required=True,
        example="ABC-1",
    )


class CustomerQuestion(Question):
    q = typed(
        "A customer's id, GID or address in Shopify, an email address, a telephone number, a name or a company.",
        required=True,
        example="buyer@example.com",
    )


class ExplainQuestion(Question):
    q = typed("Whatever a lookup of products or customers takes.", required=True, example="7356521840875")


class FeedQuestion(Question):
    feed = typed("Which feed.", required=True, words=FEEDS)


class RunsQuestion(Question):
    feed = typed("Which feed; both when it is left out.", words=FEEDS)
    after = whole("The `next` of the page before.", 1)


class GapsQuestion(Question):
    since = since("Gaps that were repaired since; the last 24 hours when it is left out.", "2026-11-23T10:00:00Z")
    after = whole("The `next` of the page before.", 1)


class ActivityQuestion(FeedQuestion):
    days = whole("How many days back; up to two are answered by the hour, more by the day.", 1, MOST_DAYS, default=1)


class After(fields.Field[tuple[int, str, str]]):
    """Where a page of issues ended: record, code and path, as JSON."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[int, str, str]:
        try:
            record, code, path = orjson.loads(value)
        except (ValueError, TypeError):
            raise self._unknown() from None
        if type(record) is not int or not (isinstance(code, str) and isinstance(path, str)):
            raise self._unknown()
        return record, storable(code), storable(path)

    @staticmethod
    def _unknown() -> ValidationError:
        return ValidationError("is not what an earlier answer called `next`")


class IssuesQuestion(FeedQuestion):
    code = typed("Only issues of this code.", example="SKU_DUPLICATE")
    severity = choice(*SEVERITIES, about="Only issues as grave as this.")
    q = typed(
        "Words in code or path, a record's id, a product's title or SKU, a customer's email.", longest=LONGEST_SEARCH
    )
    after = After(metadata={"description": "The `next` of the page before.", "type": "string"})


class SettingsChange(Change):
    """What is left out stays as it is. What values may be, `schemas/shop_settings.py` knows, as for the page."""

    tag = wish(fields.String, "Customers with this tag are imported.")
    ignored_keys = fields.List(
        fields.String(error_messages={"invalid": "must be a list of texts"}),
        metadata={"description": "Keys of the namespace sparklayer that do not make a customer belong."},
        error_messages={"invalid": "must be a list of texts", "null": "must not be null"},
    )
    reconcile_seconds = wish(fields.Integer, "Between two comparisons; null: as everybody.", null=True)
    complete_run_seconds = wish(fields.Integer, "Between two complete ones; null: as everybody.", null=True)
    notify_mail = wish(fields.String, "Who is told by mail when a feed leaves green; null: nobody.", null=True)
    notify_url = wish(fields.String, "Where that is posted to; null: nowhere.", null=True)
    notify_after_minutes = wish(fields.Integer, "For how long a feed must not have been green.")
