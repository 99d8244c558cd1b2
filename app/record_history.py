"""What happened to one record, newest first, in plain words."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from adapters import lookup

Answer = dict[str, Any]


def history(db: Connection, shop: str, feed: str, record_id: int, most: int = 20) -> list[Answer]:
    """`at`, what was heard (`sentence`), what became of it (`became`), the outcome's word, and the run, if one told."""
    return [
        {
            "at": row["received_at"],
            "delivery": row["id"],
            "topic": row["topic"],
            "run": row["run"],
            "outcome": row["outcome"] or "waiting",
            "sentence": _heard(row, feed),
            "became": _became(row),
        }
        for row in lookup.history(db, shop, feed, record_id, most)
    ]


_TOLD = {
    "create": "Shopify told of a new {kind}",
    "update": "Shopify told of a change",
    "delete": "Shopify told that the {kind} was deleted",
    "enable": "Shopify told that the customer's account was enabled",
    "disable": "Shopify told that the customer's account was disabled",
    "merge": "Shopify told that the customer was merged with another",
    "tags_added": "Shopify told of added tags",
    "tags_removed": "Shopify told of removed tags",
    "data_request": "The customer asked for what is kept of them",
    "redact": "Shopify asked to erase the customer's data",
}
_CAUSES = {
    "never_delivered": "its webhook never arrived",
    "late": "its webhook was late",
    "dead": "its webhook could not be applied",
    "wrongly_filtered": "its webhook had been filtered out",
    "no_webhook": "Shopify sends no webhook for such a change",
    "other_run": "another comparison had missed it",
}


def _heard(row: Mapping[str, Any], feed: str) -> str:
    topic = str(row["topic"])
    if row["run"] is not None:
        why = f"; {_CAUSES[row['cause']]}" if row["cause"] in _CAUSES else ""
        return f"Run {row['run']} found a difference with Shopify{why}"
    if topic == "product/metafields":
        return "The metafields were to be read from Shopify"
    if row["source"] == "fetch":
        return "Somebody asked to read it from Shopify again"
    times = f", {row['copies']} times" if row["copies"] > 1 else ""
    words = _TOLD.get(topic.rpartition("/")[2].rpartition(".")[2], "Shopify told of it")
    return f"{words.format(kind=feed.removesuffix('s'))} ({topic}){times}"


_BECAME = {
    "applied": "The record was brought up to date",
    "unchanged": "Nothing had changed",
    "superseded": "A newer state was there already",
    "filtered": "It does not belong",
    "deleted": "It was removed",
    "dead": "It could not be applied",
    None: "It waits its turn",
}


def _became(row: Mapping[str, Any]) -> str:
    """The stored reasons are sentences without any value of the body."""
    words = _BECAME[row["outcome"]]
    reason = str(row["reason"] or "").strip().rstrip(".")
    if not reason or row["outcome"] == "superseded":
        return f"{words}."
    if reason.startswith("Not imported"):  # a judgement speaks for itself
        return f"{reason}."
    return f"{words}: {reason}."
