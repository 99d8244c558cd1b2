"""Which customers belong: those tagged `b2b`, or with a metafield in the namespace `sparklayer`.

None means "not known", and is never read as "none": a webhook body names neither tags nor metafields.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NAMESPACE = "sparklayer"
_QUOTABLE = re.compile(r"[^@\x00-\x1f]{1,40}")
_MANY_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """A shop's own words for who belongs. `ignored_keys` are `sparklayer` keys that do not make a customer belong.

    `changed_at`: since when it reads so, None if always. Whoever was last seen before that is judged anew.
    """

    tag: str = "b2b"
    ignored_keys: frozenset[str] = frozenset()
    changed_at: datetime | None = None

    def is_newer_than(self, seen: datetime) -> bool:
        return self.changed_at is not None and seen < self.changed_at


@dataclass(frozen=True, slots=True)
class Eligibility:
    """`belongs` is None when too little is known. `matched` is the tag as Shopify has it, or the metafield's key.

    `reason` (of False and None): `no_tag_or_metafield`, `near_miss_tag`, `near_miss_namespace`, `ignored_metafield`,
    `not_known`. `near_miss` is the tag or namespace that was nearly right, and None when it may hold personal data.
    """

    belongs: bool | None
    rule: Literal["tag", "metafield"] | None = None
    matched: str | None = None
    reason: str | None = None
    sentence: str | None = None
    near_miss: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What is asked of Shopify before anything else of a customer is. `keys` are those of the namespace `sparklayer`.

    `keys_complete` is False when Shopify has more keys than it named.
    """

    id: int
    tags: tuple[str, ...] | None
    keys: frozenset[str] | None
    keys_complete: bool = True
    updated_at: datetime | None = None


def judge(
    tags: Sequence[str] | None,
    metafield_keys: Collection[str] | None,
    rule: Rule,
    other_namespaces: Collection[str] = (),
) -> Eligibility:
    """Whether a customer belongs, and by which rule. One known yes decides, even when the rest is unknown."""
    for tag in tags or ():
        if same_tag(tag, rule.tag):
            return Eligibility(belongs=True, rule="tag", matched=tag)
    counting = sorted(set(metafield_keys or ()) - rule.ignored_keys)
    if counting:
        return Eligibility(belongs=True, rule="metafield", matched=counting[0])
    if tags is None or metafield_keys is None:
        return _not_known(tags, metafield_keys)
    return _refused(tags, metafield_keys, rule, other_namespaces)


def judge_probe(probe: Probe, rule: Rule) -> Eligibility:
    """As `judge`; keys that do not count say nothing about those that Shopify did not name."""
    known = probe.keys if probe.keys_complete or (probe.keys or frozenset()) - rule.ignored_keys else None
    return judge(probe.tags, known, rule)


def same_tag(tag: str, wanted: str) -> bool:
    """Whole tags, trimmed, whatever the case: `B2B ` is `b2b`, `b2b-vip` is not."""
    return tag.strip().casefold() == wanted.strip().casefold() != ""


def group_slugs(tags: Iterable[str], tag: str) -> tuple[str, ...]:
    """The customer groups that tags name: `b2b-vip` names `vip`. `b2b-only` is a product's tag and names none."""
    prefix = f"{tag.strip().casefold()}-"
    slugs = {folded.removeprefix(prefix): None for folded in map(_folded, tags) if folded.startswith(prefix)}
    return tuple(slug for slug in slugs if slug not in {"", "only"})


def _folded(tag: str) -> str:
    return tag.strip().casefold()


def _not_known(tags: Sequence[str] | None, metafield_keys: Collection[str] | None) -> Eligibility:
    missing = "tags" if tags is None else "metafields"
    if tags is None and metafield_keys is None:
        missing = "tags and metafields"
    sentence = f"Not decided yet: the customer's {missing} have not been read from Shopify."
    return Eligibility(belongs=None, reason="not_known", sentence=sentence)


def _refused(tags: Sequence[str], keys: Collection[str], rule: Rule, other_namespaces: Collection[str]) -> Eligibility:
    near_tag = _near_tag(tags, rule.tag)
    near_namespace = next((name for name in sorted(other_namespaces) if _squeezed(NAMESPACE) in _squeezed(name)), None)
    ignored = sorted(set(keys) & rule.ignored_keys)
    reason = "no_tag_or_metafield"
    if near_tag is not None:
        reason = "near_miss_tag"
    elif near_namespace is not None:
        reason = "near_miss_namespace"
    elif ignored:
        reason = "ignored_metafield"
    near = near_tag if near_tag is not None else near_namespace
    sentence = (
        f"Not imported: {_about_tags(near_tag, rule.tag)}, {_about_metafields(near_namespace, ignored)}. "
        f"Add the tag {rule.tag} to import them."
    )
    return Eligibility(
        belongs=False, reason=reason, sentence=sentence, near_miss=near if near and _quotable(near) else None
    )


def _near_tag(tags: Sequence[str], wanted: str) -> str | None:
    """The tag that comes closest: one that looks the same first, then a group's, then any that holds the word."""
    goal = _squeezed(wanted)
    near = [tag for tag in tags if goal and goal in _squeezed(tag)]
    prefix = f"{_folded(wanted)}-"
    return min(near, key=lambda tag: (_squeezed(tag) != goal, not _folded(tag).startswith(prefix)), default=None)


def _squeezed(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def _about_tags(near: str | None, wanted: str) -> str:
    if near is None:
        return f"the customer does not have the tag {wanted}"
    if not _quotable(near):
        return f"the customer has a tag that contains {wanted} but not the tag {wanted} itself"
    if _squeezed(near) == _squeezed(wanted):
        return f"the customer has the tag “{near.strip()}”, which is written differently from {wanted}"
    return f"the customer has the tag {near.strip()} but not {wanted}"


def _about_metafields(near_namespace: str | None, ignored: Sequence[str]) -> str:
    if ignored:
        return f"and their metafields in the namespace {NAMESPACE} do not count in this shop ({', '.join(ignored[:3])})"
    if near_namespace is not None and _quotable(near_namespace):
        return f"and their metafields are in the namespace {near_namespace}, not {NAMESPACE}"
    return f"and no metafield in the namespace {NAMESPACE}"


def _quotable(text: str) -> bool:
    """A merchant may put an email address or a telephone number into a tag; such a tag is never repeated."""
    return bool(_QUOTABLE.fullmatch(text)) and sum(char.isdigit() for char in text) < _MANY_DIGITS
