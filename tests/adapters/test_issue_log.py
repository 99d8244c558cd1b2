from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters import issue_log
from adapters.issue_log import Chosen
from domain.issues import Issue

SHOP = "northwind-trade.myshopify.com"
MUG, CUP = 7001, 7002
MISSING = Issue("SKU_MISSING", "variants[1].sku")
TITLE = Issue("PRODUCT_TITLE_MISSING", "title")


def duplicate(others="variant 2 of product 7002", path="variants[1].sku"):
    return Issue("SKU_DUPLICATE", path, '"A-1"', {"others": others})


@pytest.fixture
def db(database):
    with database.begin() as connection:
        yield connection


@pytest.fixture
def found(db):
    """found(…) is what a newer state of the mug was found to have; the answer is its rows."""

    def replace(*issues):
        issue_log.replace_of_records(db, SHOP, "products", {MUG: issues})
        return rows(db)

    return replace


@pytest.fixture
def clash(db):
    """clash({mug: […], cup: […]}) is what a SKU was found to be: the rows."""

    def replace(by_record, scope="sku:a-1"):
        issue_log.replace_in_scopes(db, SHOP, "products", {scope: by_record})
        return rows(db)

    return replace


def rows(db):
    found = db.execute(text("SELECT *, resolved_at IS NOT NULL AS resolved FROM issues")).mappings()
    return {(row["resource_id"], row["code"]): dict(row) for row in found}


def open_codes(db, record=MUG):
    return [issue["code"] for issue in issue_log.open_of(db, SHOP, "products", [record])[record]]


def test_a_new_issue_opens(found, db):
    row = found(MISSING)[MUG, "SKU_MISSING"]

    assert (row["severity"], row["times_seen"], row["resolved"]) == ("error", 1, False)
    assert open_codes(db) == ["SKU_MISSING"]


def test_an_issue_that_stays_is_seen_again(found, db):
    first = found(MISSING)[MUG, "SKU_MISSING"]
    again = found(MISSING)[MUG, "SKU_MISSING"]

    assert again["times_seen"] == 2
    assert again["first_seen"] == first["first_seen"]


def test_a_fresh_record_has_what_was_found_beside_one_that_was_known(found, db):
    found(MISSING)

    both = {MUG: [TITLE], CUP: [MISSING]}
    issue_log.replace_of_records(db, SHOP, "products", both, fresh={CUP})

    assert (open_codes(db), open_codes(db, CUP)) == (["PRODUCT_TITLE_MISSING"], ["SKU_MISSING"])


def test_what_a_newer_state_no_longer_has_is_resolved_and_kept(found, db):
    found(MISSING, TITLE)
    after = found(TITLE)

    assert after[MUG, "SKU_MISSING"]["resolved"]
    assert open_codes(db) == ["PRODUCT_TITLE_MISSING"]


def test_an_issue_that_returns_opens_anew(found, db):
    found(MISSING)
    found()
    db.execute(text("UPDATE issues SET first_seen = now() - interval '1 day'"))
    row = found(MISSING)[MUG, "SKU_MISSING"]

    assert not row["resolved"]
    assert row["first_seen"] == row["last_seen"]
    assert row["times_seen"] == 2


def test_the_snippet_and_the_facts_are_those_of_today(found, db):
    found(Issue("SKU_WHITESPACE", "variants[1].sku", '" A"'))
    found(Issue("SKU_WHITESPACE", "variants[1].sku", '" B"'))

    assert issue_log.open_of(db, SHOP, "products", [MUG])[MUG][0]["snippet"] == '" B"'


def test_a_records_own_issues_leave_its_clashes_alone(found, clash, db):
    clash({MUG: [duplicate()], CUP: []})
    found(MISSING)
    found()

    assert open_codes(db) == ["SKU_DUPLICATE"]


def test_a_clash_that_stays_as_it_is_is_not_written(clash):
    first = clash({MUG: [duplicate()], CUP: [duplicate()]})

    assert clash({MUG: [duplicate()], CUP: [duplicate()]}) == first


def test_of_a_clash_only_what_changed_is_written(clash):
    clash({MUG: [duplicate()], CUP: [duplicate()]})
    after = clash({MUG: [duplicate("variant 3 of product 7003")], CUP: [duplicate()]})

    assert after[MUG, "SKU_DUPLICATE"]["times_seen"] == 2
    assert after[CUP, "SKU_DUPLICATE"]["times_seen"] == 1


def test_a_clash_that_ends_is_resolved_on_every_side(clash, db):
    clash({MUG: [duplicate()], CUP: [duplicate()]})
    clash({MUG: [], CUP: []})

    assert open_codes(db, MUG) == open_codes(db, CUP) == []


def test_a_clash_leaves_the_others_alone(clash, db):
    clash({MUG: [duplicate()]})
    clash({CUP: [duplicate()]}, scope="sku:b-2")
    clash({}, scope="sku:b-2")

    assert open_codes(db, MUG) == ["SKU_DUPLICATE"]
    assert open_codes(db, CUP) == []


def test_open_issues_are_counted_by_severity(found, db):
    found(MISSING, TITLE, Issue("SKU_WHITESPACE", "variants[2].sku"))

    counts = issue_log.count_open(db, SHOP, "products")
    assert counts.keys() == {"error", "warning", "info"}
    assert sum(counts.values()) == 3
    assert issue_log.count_open(db, "other.myshopify.com", "products") == {"error": 0, "warning": 0, "info": 0}


def test_a_list_goes_on_where_its_page_ended(found, db):
    paths = [f"variants[{n}].sku" for n in range(1, 8)]
    found(*(Issue("SKU_MISSING", path) for path in paths))

    pages, after = [], (-1, "", "")
    while page := issue_log.listed(db, SHOP, "products", after=after, most=3):
        pages.append([issue["path"] for issue in page])
        after = (page[-1]["resource_id"], page[-1]["code"], page[-1]["path"])

    assert [len(page) for page in pages] == [3, 3, 1]
    assert sum(pages, []) == paths  # noqa: RUF017 — seven of them


def test_a_list_can_be_of_one_code(found, db):
    found(MISSING, TITLE)

    assert [issue["code"] for issue in issue_log.listed(db, SHOP, "products", code="SKU_MISSING")] == ["SKU_MISSING"]


def test_an_issue_is_shown_with_cause_and_fix(found, db):
    found(MISSING)

    [issue] = issue_log.open_of(db, SHOP, "products", [MUG])[MUG]
    assert issue["sentence"]
    assert issue["fix"]
    assert issue["times_seen"] == 1


def test_groups_count_records_and_issues_the_gravest_first(db):
    by_record = {
        MUG: [Issue("SKU_MISSING", "variants[1].sku"), Issue("SKU_MISSING", "variants[2].sku")],
        CUP: [Issue("SKU_MISSING", "variants[3].sku"), Issue("CATALOG_TAG_CONFLICT", "tags")],
        7003: [
            Issue("METAFIELD_UNKNOWN_KEY", "metafields.a", None, {"key": "a"}),
            Issue("CATALOG_TAG_CONFLICT", "tags"),
        ],
        0: [Issue("SOURCE_THROTTLED", "shop")],
    }
    issue_log.replace_of_records(db, SHOP, "products", by_record)

    found = issue_log.groups(db, SHOP, "products")

    assert [(group["code"], group["severity"], group["records"], group["issues"]) for group in found] == [
        ("SKU_MISSING", "error", 2, 3),
        ("CATALOG_TAG_CONFLICT", "warning", 2, 2),
        ("METAFIELD_UNKNOWN_KEY", "info", 1, 1),
    ]


def test_a_group_says_whether_its_words_are_those_of_all(db):
    named = [Issue("METAFIELD_UNKNOWN_KEY", f"metafields.{key}", None, {"key": key}) for key in ("colour", "size")]
    issue_log.replace_of_records(db, SHOP, "products", {MUG: [TITLE, *named]})

    title, unknown = issue_log.groups(db, SHOP, "products")

    assert (title["varies"], unknown["varies"]) == (False, True)
    assert "sparklayer.colour" in unknown["sentence"]
    assert unknown["fix"]


def test_groups_are_of_what_is_open(found, db):
    found(MISSING)
    found()

    assert issue_log.groups(db, SHOP, "products") == []


@pytest.mark.parametrize("q", ["tin CUP", "b - 1", "B-1", "7002", "SKU_miss", "ants[3]", " cup "])
def test_a_list_can_be_searched(db, q):
    db.execute(
        text("""INSERT INTO products (shop, id, core, core_at, core_seen)
                VALUES (:shop, 7001, '{"title": "Enamel mug"}', now(), now()),
                       (:shop, 7002, '{"title": "Tin cup"}', now(), now())"""),
        {"shop": SHOP},
    )
    db.execute(
        text("""INSERT INTO variants (shop, id, product_id, sku, sku_fold)
                VALUES (:shop, 1, 7001, 'A-1', 'a-1'), (:shop, 3, 7002, 'B-1', 'b-1')"""),
        {"shop": SHOP},
    )
    issue_log.replace_of_records(db, SHOP, "products", {MUG: [TITLE], CUP: [Issue("SKU_MISSING", "variants[3].sku")]})

    assert [issue["resource_id"] for issue in issue_log.listed(db, SHOP, "products", q=q)] == [CUP]


@pytest.mark.parametrize("q", ["%", "t_tle", "\\", "'", "9" * 30, "٣"])
def test_a_search_takes_every_character_as_it_is(found, db, q):
    found(TITLE)

    assert issue_log.listed(db, SHOP, "products", q=q) == []


def test_a_search_for_nothing_finds_everything(found, db):
    found(MISSING, TITLE)

    assert len(issue_log.listed(db, SHOP, "products", q="  ")) == 2


def test_a_list_can_be_of_one_severity(found, db):
    found(MISSING, Issue("SKU_WHITESPACE", "variants[1].sku"))

    assert [issue["code"] for issue in issue_log.listed(db, SHOP, "products", severity="warning")] == ["SKU_WHITESPACE"]


def test_a_search_includes_the_records_its_caller_knows(db):
    issue_log.replace_of_records(db, SHOP, "customers", {MUG: [Issue("EMAIL_MISSING", "email")]})

    assert issue_log.listed(db, SHOP, "customers", q="anna@example.com") == []
    assert len(issue_log.listed(db, SHOP, "customers", q="anna@example.com", records=[MUG])) == 1


def test_what_disappeared_is_told_latest_first(found, db):
    found(MISSING, TITLE)
    found()
    db.execute(text("UPDATE issues SET resolved_at = now() - interval '2 hours' WHERE code = 'SKU_MISSING'"))
    now = db.execute(text("SELECT now()")).scalar_one()

    day = issue_log.resolved(db, SHOP, "products", now - timedelta(days=1))
    hour = issue_log.resolved(db, SHOP, "products", now - timedelta(hours=1))

    assert [issue["code"] for issue in day] == ["PRODUCT_TITLE_MISSING", "SKU_MISSING"]
    assert [issue["code"] for issue in hour] == ["PRODUCT_TITLE_MISSING"]
    assert issue_log.count_resolved(db, SHOP, "products", now - timedelta(days=1)) == 2


def test_records_with_issues_go_on_where_their_page_ended(db):
    issue_log.replace_of_records(db, SHOP, "products", {n: [MISSING, TITLE] for n in range(1, 8)} | {0: [TITLE]})

    first = issue_log.by_record(db, SHOP, "products", Chosen(), most=4)
    rest = issue_log.by_record(db, SHOP, "products", Chosen(), after=4, most=4)

    assert [row["resource_id"] for row in first + rest] == [1, 2, 3, 4, 5, 6, 7]
    assert [issue["code"] for issue in first[0]["issues"]] == ["PRODUCT_TITLE_MISSING", "SKU_MISSING"]
    assert issue_log.count_records(db, SHOP, "products", Chosen(), after=4) == 3
