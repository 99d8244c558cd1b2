"""What is wrong with one customer who belongs. No personal value ever leaves this file in clear."""

import re
from collections.abc import Iterator
from dataclasses import replace

from domain.codes import COUNTRIES
from domain.eligibility import Rule, group_slugs, same_tag
from domain.issues import Issue
from domain.metafields import read_customer_metafields
from domain.records import Address, Customer, Metafield
from domain.text import MASK, masked, masked_email, shown

_EMAIL = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\".]+(\.[^\s@,;<>\".]+)+")
LONGEST_EMAIL = 254  # that mail servers take
_SHORTEST_TELLING = 3  # letters; shorter values would mask every snippet


def check_customer(customer: Customer, rule: Rule) -> tuple[Issue, ...]:
    issues = [*_email_issues(customer.email)]
    for index, address in enumerate(customer.addresses):
        issues.extend(_address_issues(address, f"addresses[{index if address.id is None else address.id}]"))
    issues.extend(_group_issues(customer, rule))
    issues.extend(read_customer_metafields(customer.metafields).issues)
    personal = _personal_values(customer)
    return tuple(_without(personal, issue) for issue in issues)


def metafield(customer: Customer, key: str) -> Metafield | None:
    return next((found for found in customer.metafields if found.key == key), None)


def _email_issues(email: str | None) -> Iterator[Issue]:
    if email is None or not email.strip():
        yield Issue("EMAIL_MISSING", "email")
    elif len(email) > LONGEST_EMAIL or not _EMAIL.fullmatch(email.strip()):
        yield Issue("EMAIL_INVALID", "email", masked_email(email))


def _address_issues(address: Address, path: str) -> Iterator[Issue]:
    if address.line1 is None or not address.line1.strip():
        yield Issue("ADDRESS_LINE1_EMPTY", f"{path}.line1")
    code = address.country_code
    if code is None or code.strip().upper() not in COUNTRIES or code.strip().upper() == "ZZ":
        yield Issue("ADDRESS_COUNTRY_INVALID", f"{path}.country_code", None if code is None else shown(code[:2]))


def _group_issues(customer: Customer, rule: Rule) -> Iterator[Issue]:
    tagged = group_slugs(customer.tags, rule.tag)
    if not tagged:
        return
    group = metafield(customer, "group")
    if group is not None and group.value.strip():
        yield Issue("GROUP_METAFIELD_OVERRIDES", "metafields.group")
        return
    if not any(same_tag(tag, rule.tag) for tag in customer.tags):
        yield Issue("GROUP_TAG_WITHOUT_B2B", "tags", None, {"tag": rule.tag})
    if len(tagged) > 1:
        yield Issue("GROUP_TAG_CONFLICT", "tags", None, {"count": len(tagged)})


def _personal_values(customer: Customer) -> tuple[str, ...]:
    values = [customer.email, customer.first_name, customer.last_name, customer.phone]
    for address in customer.addresses:
        values += [address.first_name, address.last_name, address.line1, address.line2, address.city]
        values += [address.postal_code, address.phone]
    token = metafield(customer, "authentication")
    values.append(None if token is None else token.value)
    folded = {value.strip().casefold() for value in values if value}
    return tuple(value for value in folded if len(value) >= _SHORTEST_TELLING)


def _without(personal: tuple[str, ...], issue: Issue) -> Issue:
    """A merchant may have typed a name where a number belongs: the snippet then says nothing at all."""
    if issue.snippet is None or issue.code == "EMAIL_INVALID":
        return issue
    snippet = masked(issue.snippet)
    tells = any(value in snippet.casefold() for value in personal)
    return replace(issue, snippet=MASK if tells else snippet)
