"""Every issue this product can raise, one row a code: how grave it is, what it means, and what its owner can do."""

from collections import defaultdict
from dataclasses import dataclass

from domain.issues import Issue, Severity

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@dataclass(frozen=True, slots=True)
class Entry:
    """`cause` and `fix` are filled with the issue's facts. `about` is `record`, or `feed` for the feed as a whole."""

    severity: Severity
    cause: str
    fix: str
    feeds: tuple[str, ...]
    about: str = "record"


PRODUCTS, CUSTOMERS, BOTH = ("products",), ("customers",), ("products", "customers")

CATALOGUE: dict[str, Entry] = {
    # what every record needs
    "PRODUCT_ID_MISSING": Entry(
        ERROR,
        "The product came without a usable id.",
        "Open the product in Shopify and save it, so that Shopify sends it again.",
        PRODUCTS,
    ),
    "CUSTOMER_ID_MISSING": Entry(
        ERROR,
        "The customer came without a usable id.",
        "Open the customer in Shopify and save it, so that Shopify sends it again.",
        CUSTOMERS,
    ),
    "VARIANT_ID_MISSING": Entry(
        ERROR,
        "A variant came without a usable id and was left out.",
        "Open the product in Shopify and save it, so that Shopify sends it again.",
        PRODUCTS,
    ),
    "UPDATED_AT_MISSING": Entry(
        WARNING,
        "Shopify did not say when the record last changed.",
        "Nothing to do: the time at which it was received is used instead.",
        BOTH,
    ),
    "UPDATED_AT_INVALID": Entry(
        WARNING,
        "The time of the last change cannot be used: {problem}.",
        "Nothing to do: the time at which it was received is used instead.",
        BOTH,
    ),
    "TEXT_UNSTORABLE": Entry(
        WARNING,
        "The text contains characters that cannot be stored; each was replaced by �.",
        "Type the text again in Shopify.",
        BOTH,
    ),
    "FIELD_WRONG_TYPE": Entry(
        ERROR,
        "Shopify sent {found} where {expected} was expected, so the field was left empty.",
        "Open the record in Shopify, check this field and save it.",
        BOTH,
    ),
    # products
    "PRODUCT_TITLE_MISSING": Entry(
        ERROR, "The product has no title.", "Give the product a title in Shopify.", PRODUCTS
    ),
    "PRODUCT_HANDLE_MISSING": Entry(
        ERROR,
        "The product has no handle, which SparkLayer needs as its slug.",
        "Set the handle under “Search engine listing” in Shopify.",
        PRODUCTS,
    ),
    "STATUS_MISSING": Entry(
        WARNING,
        "Shopify did not say whether the product is active, draft or archived.",
        "Set the status of the product in Shopify.",
        PRODUCTS,
    ),
    "SKU_MISSING": Entry(
        ERROR,
        "The variant has no SKU. B2B prices are stored by SKU, so it cannot be sold.",
        "Give the variant a SKU of its own in Shopify.",
        PRODUCTS,
    ),
    "SKU_WHITESPACE": Entry(
        WARNING,
        "The SKU contains spaces or invisible characters at its ends or in a row; SKUs are compared exactly.",
        "Remove them from the SKU in Shopify and in the price lists.",
        PRODUCTS,
    ),
    "SKU_DUPLICATE": Entry(
        ERROR,
        "The same SKU is also on {others}. A shared SKU can keep a product out of SparkLayer.",
        "Give each variant a SKU of its own; correcting either side clears this issue on both.",
        PRODUCTS,
    ),
    "SKU_NEAR_DUPLICATE": Entry(
        WARNING,
        "A SKU that differs only by upper and lower case or by spaces is on {others}.",
        "Check whether both are meant, and make them clearly different.",
        PRODUCTS,
    ),
    "CATALOG_TAG_CONFLICT": Entry(
        WARNING,
        "The product is tagged both b2b-only and b2c-only, which hides it from everybody.",
        "Remove one of the two tags.",
        PRODUCTS,
    ),
    # metafields
    "METAFIELD_INVALID_JSON": Entry(
        ERROR,
        "The metafield {key} is not valid JSON: line {line}, column {column}: {problem}.",
        "Correct the JSON of the metafield in Shopify.",
        BOTH,
    ),
    "METAFIELD_WRONG_TYPE": Entry(
        ERROR,
        "{key} must be {expected}, but is {found}.",
        "Correct the metafield in Shopify.",
        BOTH,
    ),
    "METAFIELD_OUT_OF_RANGE": Entry(
        ERROR,
        "{key} must be {expected}.",
        "Correct the metafield in Shopify.",
        BOTH,
    ),
    "METAFIELD_TYPE_MISMATCH": Entry(
        WARNING,
        "The metafield {key} has a good value, but is defined in Shopify as {declared} instead of {expected}.",
        "Define the metafield again with the type {expected}.",
        BOTH,
    ),
    "METAFIELD_WRONG_OWNER": Entry(
        WARNING,
        "The metafield {key} belongs on {belongs_on}, not on {found_on}, so it has no effect.",
        "Set it on {belongs_on} and remove it from {found_on}.",
        BOTH,
    ),
    "METAFIELD_UNKNOWN_KEY": Entry(
        INFO,
        "The metafield sparklayer.{key} is not one that this app knows. It is kept and shown.",
        "Nothing to do, unless the key is misspelt.",
        BOTH,
    ),
    "SETTINGS_NOT_ARRAY": Entry(
        ERROR,
        "The metafield settings must be a JSON list with one entry for each customer group, but is {found}.",
        "Put the entries between square brackets: [{{…}}, {{…}}].",
        PRODUCTS,
    ),
    "SETTINGS_GROUP_MISSING": Entry(
        ERROR,
        "An entry of the metafield settings does not name its customer group.",
        'Add "customer_group" to the entry; the default group is "base".',
        PRODUCTS,
    ),
    "SETTINGS_GROUP_DUPLICATE": Entry(
        ERROR,
        "The metafield settings has more than one entry for the same customer group.",
        "Keep one entry for each group.",
        PRODUCTS,
    ),
    "SETTINGS_GROUP_NOT_SLUG": Entry(
        WARNING,
        "The customer group in the metafield settings is not written like a group's handle.",
        "Use the handle of the group, such as base or tier-2.",
        PRODUCTS,
    ),
    "SETTINGS_UNKNOWN_KEY": Entry(
        WARNING,
        "The metafield settings contains an unknown name, {name}{meant}, which has no effect.",
        "Correct the name, or remove it.",
        PRODUCTS,
    ),
    "SETTINGS_OVERRIDES_FIELDS": Entry(
        INFO,
        "The metafield settings is set, so these metafields of the variant have no effect: {ignored}.",
        "Nothing to do, or remove the ones without effect.",
        PRODUCTS,
    ),
    "MIN_EXCEEDS_MAX": Entry(
        ERROR,
        "{low_key} is {low}, which is more than {high_key}, {high}: nobody can order.",
        "Lower the minimum or raise the maximum.",
        PRODUCTS,
    ),
    "QTY_NOT_MULTIPLE_OF_PACK": Entry(
        WARNING,
        "{key} is {quantity}, which is not a multiple of the pack size, {pack_size}.",
        "Use a multiple of the pack size.",
        PRODUCTS,
    ),
    "PARENT_QTY_INCONSISTENT": Entry(
        WARNING,
        "The variants of this product do not agree on {key}, which counts for the product as a whole.",
        "Set the same value on every variant.",
        PRODUCTS,
    ),
    "RESTOCK_DATE_INVALID": Entry(
        ERROR,
        "restock_date is not a date.",
        "Write the date as year-month-day, such as 2026-12-31.",
        PRODUCTS,
    ),
    "RESTOCK_DATE_PAST": Entry(
        INFO,
        "restock_date lies in the past.",
        "Set a new date, or remove the metafield.",
        PRODUCTS,
    ),
    "RRP_UNREADABLE": Entry(
        WARNING,
        "rrp is not an amount, nor a list of amounts with their currencies.",
        "Write a number such as 19.99.",
        PRODUCTS,
    ),
    # customers
    "EMAIL_MISSING": Entry(
        ERROR,
        "The customer has no email address, which is what they log in with.",
        "Add the customer's email address in Shopify.",
        CUSTOMERS,
    ),
    "EMAIL_INVALID": Entry(
        ERROR,
        "The customer's email address is not a valid one.",
        "Correct the email address in Shopify.",
        CUSTOMERS,
    ),
    "EMAIL_DUPLICATE": Entry(
        ERROR,
        "The same email address is also on {others}. SparkLayer accepts each address once.",
        "Merge the customers in Shopify, or change one of the addresses.",
        CUSTOMERS,
    ),
    "ADDRESS_LINE1_EMPTY": Entry(
        ERROR,
        "Line 1 of an address is empty.",
        "Fill in the first line of the address in Shopify.",
        CUSTOMERS,
    ),
    "ADDRESS_COUNTRY_INVALID": Entry(
        ERROR,
        "An address has no country, or one that is not known.",
        "Choose the country of the address in Shopify.",
        CUSTOMERS,
    ),
    "CREDIT_SHAPE_INVALID": Entry(
        ERROR,
        "The metafield payment_on_account cannot be read: {problem}.",
        'Write it like {{"credit_limit": 1000, "balance": 250}}.',
        CUSTOMERS,
    ),
    "CURRENCY_INVALID": Entry(
        ERROR,
        "The currency in the metafield payment_on_account is not known.",
        "Use a three-letter code such as USD or EUR.",
        CUSTOMERS,
    ),
    "NET_TERMS_UNUSUAL": Entry(
        WARNING,
        "Net terms of {days} days are outside the usual 7 to 90.",
        "Check the net terms of this customer.",
        CUSTOMERS,
    ),
    "GROUP_TAG_CONFLICT": Entry(
        WARNING,
        "The customer has the tags of {count} customer groups, but can be in one only.",
        "Keep the tag of one group, or set the metafield group.",
        CUSTOMERS,
    ),
    "GROUP_METAFIELD_OVERRIDES": Entry(
        INFO,
        "The metafield group decides the customer's group; the group tag on the customer has no effect.",
        "Nothing to do, or remove the tag.",
        CUSTOMERS,
    ),
    "GROUP_TAG_WITHOUT_B2B": Entry(
        INFO,
        "The customer has the tag of a customer group but not the tag {tag}, so the group does not count.",
        "Add the tag {tag}.",
        CUSTOMERS,
    ),
    "PRICE_LISTS_SHAPE_INVALID": Entry(
        ERROR,
        "The metafield price_lists is not a list of price list handles.",
        'Write it like ["25-off"].',
        CUSTOMERS,
    ),
    # the feed as a whole
    "LIMIT_RECOMMENDED": Entry(
        WARNING,
        "There are {count} {what}, more than the {limit} that SparkLayer recommends.",
        "Ask SparkLayer's support before adding many more.",
        BOTH,
        "feed",
    ),
    "LIMIT_HARD": Entry(
        ERROR,
        "There are {count} {what}, more than the {limit} that SparkLayer can hold.",
        "Remove what is no longer sold or used, or ask SparkLayer's support.",
        BOTH,
        "feed",
    ),
    "SOURCE_AUTH_FAILED": Entry(
        ERROR,
        "Shopify no longer accepts this app's access to the store.",
        "Open the app in Shopify's admin, or install it again.",
        BOTH,
        "feed",
    ),
    "SOURCE_UNREACHABLE": Entry(
        ERROR,
        "Shopify could not be reached.",
        "Nothing to do: the app tries again by itself.",
        BOTH,
        "feed",
    ),
    "SOURCE_THROTTLED": Entry(
        WARNING,
        "Shopify asked the app to slow down, so changes arrive later than usual.",
        "Nothing to do: the app goes on by itself.",
        BOTH,
        "feed",
    ),
    "WEBHOOK_SUBSCRIPTION_MISSING": Entry(
        ERROR,
        "Shopify no longer tells the app about changes: the subscription {topic} is missing.",
        "Repair the subscriptions; until then changes are found by the regular comparison.",
        BOTH,
        "feed",
    ),
    "WEBHOOK_SUBSCRIPTION_STRAY": Entry(
        WARNING,
        "The subscription {topic} {problem}.",
        "Run `flask subscriptions fix` for this shop, which removes it.",
        BOTH,
        "feed",
    ),
    "WEBHOOK_SUBSCRIPTION_FLAWED": Entry(
        WARNING,
        "The subscription {topic} {problem}.",
        "Run `flask subscriptions diff` for this shop, which says what to do, and `flask subscriptions fix`.",
        BOTH,
        "feed",
    ),
    "WEBHOOKS_SILENT": Entry(
        WARNING,
        "Shopify has told nothing of {feed} for {quiet} h, far longer than the {usual} h that are usual here; "
        "comparisons found {missed} changes meanwhile.",
        "If {feed} were changed since, check the app's subscriptions and its address; comparisons find what is missed.",
        BOTH,
        "feed",
    ),
    "SCOPE_MISSING": Entry(
        ERROR,
        "The app may not read this in the store: the access scope {scope} is missing.",
        "Open the app in Shopify's admin and grant {scope}; a custom app gets it in its settings.",
        BOTH,
        "feed",
    ),
    "RUN_FAILED": Entry(
        WARNING,
        "The last comparison with the store did not succeed: {reason}.",
        "Nothing to do if it passes: the app tries again by itself.",
        BOTH,
        "feed",
    ),
    "API_VERSION_ENDING": Entry(
        WARNING,
        "Shopify ends API version {version}, which the app uses, on {date}.",
        "Whoever runs the app sets SHOPIFY_API_VERSION to a newer version and deploys it.",
        BOTH,
        "feed",
    ),
    "API_VERSION_UNSUPPORTED": Entry(
        ERROR,
        "Shopify does not support API version {version}, which the app uses, and answers in another one.",
        "Whoever runs the app sets SHOPIFY_API_VERSION to a supported version and deploys it.",
        BOTH,
        "feed",
    ),
}

UNLISTED = Entry(WARNING, "Something about this record is not as expected.", "Check the record in Shopify.", BOTH)


def severity(code: str) -> Severity:
    return CATALOGUE.get(code, UNLISTED).severity


def sentence(issue: Issue) -> str:
    """Cause and fix in plain words, for one line."""
    entry = CATALOGUE.get(issue.code, UNLISTED)
    return f"{_filled(entry.cause, issue)} {_filled(entry.fix, issue)}"


def render(issue: Issue) -> dict[str, str | None]:
    """An issue as the API and the pages show it. `sentence` is the cause; what to do about it is `fix`."""
    entry = CATALOGUE.get(issue.code, UNLISTED)
    return {
        "code": issue.code,
        "severity": entry.severity.value,
        "path": issue.path,
        "snippet": issue.snippet,
        "sentence": _filled(entry.cause, issue),
        "fix": _filled(entry.fix, issue),
    }


def _filled(template: str, issue: Issue) -> str:
    # an issue stored by an earlier version may lack a fact that today's sentence asks for
    return template.format_map(defaultdict(lambda: "…", issue.facts))
