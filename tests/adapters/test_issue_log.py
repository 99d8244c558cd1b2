import pytest
from sqlalchemy import text

from adapters import issue_log
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
