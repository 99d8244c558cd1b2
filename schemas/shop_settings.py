"""What a merchant typed into the settings page, as values; or what is wrong with it, beside its field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, post_load

from schemas.fields import Lenient

# A customer's tags are one text in Shopify, cut at commas. https://shopify.dev/docs/api/admin-graphql/latest/input-objects/CustomerInput
LONGEST_TAG = 255
# https://shopify.dev/docs/api/admin-graphql/latest/input-objects/MetafieldsSetInput
_KEY = re.compile(r"[A-Za-z0-9_-]{2,64}")
# A listing names twenty metafields of a customer: with more keys that do not count, the one that does might be cut off.
MOST_KEYS = 15
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{4,253}$)([A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
LONGEST_URL = 2_000
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is allowed here: seconds at least, everybody's intervals, plain http, whether mail can be sent at all."""

    least_seconds: int
    reconcile_seconds: int
    complete_run_seconds: int
    plain_http: bool
    mail: bool


def read(form: Mapping[str, str], bounds: Bounds) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by the names of `ShopSettings`, and one sentence for each field that is wrong."""
    try:
        return _Wishes(bounds).load(form), {}
    except ValidationError as error:
        messages = error.messages_dict
        return {}, {name: " ".join(map(str, told)) for name, told in messages.items()}


class _Text(fields.String):
    """One line, trimmed: what cannot be printed is a space."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        return "".join(letter if letter.isprintable() else " " for letter in text).strip()


class _Wishes(Lenient):
    tag = _Text(required=True, error_messages={"required": "Enter a tag, for example b2b."})
    ignored_keys = _Text(load_default="")
    reconcile_seconds = _Text(load_default="")
    complete_run_seconds = _Text(load_default="")
    notify_mail = _Text(load_default="")
    notify_url = _Text(load_default="")
    notify_after_minutes = _Text(load_default="30")

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds

    @post_load
    def values(self, typed: dict[str, Any], **_: Any) -> dict[str, Any]:
        problems: dict[str, str] = {}
        found = dict(typed)
        for name, read_one in self._readers().items():
            try:
                found[name] = read_one(typed[name])
            except ValueError as problem:
                problems[name] = str(problem)
        if not problems.keys() & {"reconcile_seconds", "complete_run_seconds"} and self._is_upside_down(found):
            problems["complete_run_seconds"] = (
                "A complete check contains an ordinary one. Choose an interval that is at least as long."
            )
        if problems:
            raise ValidationError({name: [told] for name, told in problems.items()})
        return found

    def _readers(self) -> dict[str, Any]:
        return {
            "tag": _tag,
            "ignored_keys": _keys,
            "reconcile_seconds": self._seconds,
            "complete_run_seconds": self._seconds,
            "notify_after_minutes": _minutes,
            "notify_mail": self._mail,
            "notify_url": self._url,
        }

    def _seconds(self, typed: str) -> int | None:
        if not typed:
            return None
        if not re.fullmatch(r"[0-9]{1,6}", typed) or not self.bounds.least_seconds <= int(typed) <= DAY:
            raise ValueError("Choose an interval from one minute to one day.")
        return int(typed)

    def _is_upside_down(self, found: Mapping[str, Any]) -> bool:
        reconcile = found["reconcile_seconds"] or self.bounds.reconcile_seconds
        complete = found["complete_run_seconds"] or self.bounds.complete_run_seconds
        return bool(complete < reconcile)

    def _mail(self, typed: str) -> str | None:
        if not typed:
            return None
        if not self.bounds.mail:
            raise ValueError("Mail is not set up on this installation, so no address can be told.")
        if not _MAIL.fullmatch(typed):
            raise ValueError("Enter one mail address, for example ops@example.com.")
        return typed

    def _url(self, typed: str) -> str | None:
        if not typed:
            return None
        schemes = ("https", "http") if self.bounds.plain_http else ("https",)
        if not _is_address(typed, schemes):
            raise ValueError("Enter an address that starts with https://, without a user name.")
        return typed


def _tag(typed: str) -> str:
    if not typed:
        raise ValueError("Enter a tag, for example b2b.")
    if "," in typed:
        raise ValueError("Enter one tag without a comma: Shopify reads a comma as the end of a tag.")
    if len(typed) > LONGEST_TAG:
        raise ValueError(f"Enter at most {LONGEST_TAG} characters.")
    return typed


def _keys(typed: str) -> frozenset[str]:
    keys = frozenset(re.split(r"[\s,]+", typed)) - {""}
    wrong = sorted(key for key in keys if not _KEY.fullmatch(key.removeprefix("sparklayer.")))
    if wrong:
        raise ValueError(
            f"{wrong[0][:40]} cannot be a metafield key. Keys have 2 to 64 letters, digits, hyphens and underscores."
        )
    if len(keys) > MOST_KEYS:
        raise ValueError(f"Enter at most {MOST_KEYS} keys.")
    return frozenset(key.removeprefix("sparklayer.") for key in keys)


def _minutes(typed: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", typed) or not 5 <= int(typed) <= 1_440:
        raise ValueError("Enter a number of minutes from 5 to 1440.")
    return int(typed)


def _is_address(typed: str, schemes: tuple[str, ...]) -> bool:
    try:
        url = urlsplit(typed)
        port = url.port
    except ValueError:
        return False
    whole = len(typed) <= LONGEST_URL and typed.isascii() and not re.search(r"\s", typed)
    named = url.username is None and url.password is None and bool(_HOST.fullmatch(url.hostname or ""))
    return whole and named and url.scheme in schemes and port != 0
