"""What merchants read in a mail about a feed that is not green, or is green again. Nothing personal is in it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

KINDS = {"products": "Product sync", "customers": "Customer sync"}
STATES = {"ok": "green", "ok_with_errors": "amber, with issues", "no_data": "amber, without data"}
TO_DO = {
    "never_imported": "Open the page below to see how far the first import is, and choose Refresh if it has failed.",
    "stale": "Open the page below and choose Refresh. If that fails as well, the page says why.",
    "issues": "Open the page below: each issue comes with its cause and what to do about it.",
}
TEST = "This is a test. A notice about a feed that is not green would have reached you."


def told_by_a_test() -> dict[str, Any]:
    """What a test notice tells, as `state`, `reason`, `sentence`, `since`."""
    return {"state": "test", "reason": None, "sentence": TEST, "since": None}


def mail_of(
    shop: str, feed: str | None, told: Mapping[str, Any], app_url: str, patience_minutes: int
) -> tuple[str, str]:
    """(subject, text). `told` holds `state`, `reason`, `sentence` and `since` (ISO 8601); `feed` None is a test."""
    name = KINDS.get(feed or "", "Data Sync")
    since = datetime.fromisoformat(told["since"]) if told.get("since") else None
    if feed is None or since is None:
        subject, lines = f"Data Sync: a test for {shop}", [str(told["sentence"])]
    elif told["state"] == "ok":
        subject = f"Data Sync: {name} of {shop} is green again"
        lines = [f"{name} of {shop} is green again. It had not been since {_moment(since)}."]
    else:
        subject = f"Data Sync: {name} of {shop} is not green"
        lines = _trouble(name, shop, told, since)
    page = f"{app_url}/{feed}?shop={shop}" if feed else f"{app_url}/?shop={shop}"
    why = (
        f"This address is to be told when a feed of {shop} is not green for longer than {patience_minutes} minutes. "
        f"To change that: {app_url}/settings?shop={shop}"
    )
    return subject, "\n\n".join([*lines, page, "-- \n" + why]) + "\n"


def _trouble(name: str, shop: str, told: Mapping[str, Any], since: datetime) -> list[str]:
    state = STATES.get(told["state"], told["state"])
    lines = [f"{name} of {shop} has not been green since {_moment(since)}. It is {state}.", str(told["sentence"])]
    if to_do := TO_DO.get(told["reason"] or ""):
        lines.append(to_do)
    return lines


def _moment(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc:%H:%M} UTC on {utc.day} {utc:%B %Y}"
