import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from adapters import issue_log, mirror_customers, mirror_products, stored
from adapters.issue_log import Chosen
from adapters.mirror_customers import Membership
from adapters.mirror_products import CoreWrite
from app.issue_export import Export
from domain.issues import Issue
from domain.records import Customer, Product, Variant
from domain.versions import Version

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
MUG, CUP = 7356521840875, 7356521840876
ANNA = 5917633347819
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def office(app, install):
    install()
    return app.extensions["office"]


@pytest.fixture
def product(office):
    """product(id, title, sku, …issues): it is in the mirror, and that is wrong with it."""

    def write(number, title="Tin mug", sku="ABC-1", *issues):
        variant = Variant(number * 10, sku, None, "One", "9.90", 1, 3)
        core = Product(number, title, f"tin-{number}", "active", "Northwind", None, (), None, (variant,))
        now = Version.moment(datetime.now(UTC))
        with office.db.begin() as db:
            dumped = stored.dump_product(core)
            mirror_products.write_cores(db, SHOP, [CoreWrite(core, now, "fetch", (), dumped, "hash")])
            mirror_products.write_variants(db, SHOP, [core])
            issue_log.replace_of_records(db, SHOP, "products", {number: issues})

    return write


@pytest.fixture
def customer(office):
    """customer(id, first name, email, …issues)"""

    def write(number, first_name, email, *issues):
        fields = dict.fromkeys(Customer.__dataclass_fields__)
        person = Customer(
            **fields
            | {"id": number, "first_name": first_name, "last_name": "Berg", "email": email, "tags": ("b2b",)}
            | {"addresses": (), "metafields": ()}
        )
        now = Version.moment(datetime.now(UTC))
        with office.db.begin() as db:
            mirror_customers.write(db, office.vault, SHOP, [Membership(person, now, "fetch", "tag", "b2b")])
            issue_log.replace_of_records(db, SHOP, "customers", {number: issues})

    return write


@pytest.fixture
def visit(app, session_token):
    """visit(address) → the answer, as the shop's own people get it."""

    def get(address, shop=SHOP):
        return app.test_client().get(address, headers={"Authorization": f"Bearer {session_token(shop)}"})

    return get


@pytest.fixture
def read(visit):
    def get(address):
        answer = visit(address)
        assert answer.status_code == 200
        return answer.text

    return get


def missing(number):
    return Issue("SKU_MISSING", f"variants[{number * 10}].sku")


def spaces(number, snippet='" ABC"'):
    return Issue("SKU_WHITESPACE", f"variants[{number * 10}].sku", snippet)


def test_the_list_of_customers_by_name_is_logged_like_a_lookup_and_that_of_products_is_not(customer, product, read):
    customer(ANNA, "Anna", "anna@berg.example", Issue("EMAIL_MISSING", "email"))
    product(MUG, "Tin mug", "ABC-1", missing(MUG))

    with capture_logs() as logs:
        read("/customers/issues")
        read("/products/issues")

    (line,) = [line for line in logs if line["event"] == "lookup"]
    assert (line["shop"], line["feed"], line["who"], line["found"]) == (SHOP, "customers", "42", 1)
    assert "Anna" not in str(logs)


def test_without_issues_the_page_says_so_and_what_would_appear(office, read):
    page = read("/products/issues")

    assert "No open issues" in page
    assert "disappear by themselves" in page


def test_issues_are_grouped_with_the_gravest_first(product, read):
    product(MUG, "Tin mug", "A-1", spaces(MUG))
    product(CUP, "Tin cup", "B-1", spaces(CUP), missing(CUP))

    page = read("/products/issues")

    assert page.index("code=SKU_MISSING") < page.index("code=SKU_WHITESPACE")
    assert "Error" in page
    assert "Warning" in page


def test_each_issue_has_its_cause_its_fix_and_both_its_links(product, read):
    product(MUG, "Tin mug", "ABC-1", spaces(MUG))

    page = read("/products/issues")

    for said in (
        "Tin mug",
        "ABC-1",
        "SKUs are compared exactly",
        "Remove them from the SKU",
        f"variants[{MUG * 10}].sku",
        "&#34; ABC&#34;",
        f'href="https://admin.shopify.com/store/northwind-trade/products/{MUG}"',
        f'href="/products/{MUG}?shop={SHOP}"',
        "once",
    ):
        assert said in page


def test_what_is_wrong_with_the_feed_itself_stands_on_top(office, product, read):
    product(MUG, "Tin mug", "ABC-1", missing(MUG))
    with office.db.begin() as db:
        issue_log.replace_of_records(
            db, SHOP, "products", {0: [Issue("SCOPE_MISSING", "scopes", None, {"scope": "read_products"})]}
        )

    page = read("/products/issues")

    assert page.index("the access scope read_products is missing") < page.index("Open issues by kind")
    assert "Product 0" not in page


@pytest.mark.parametrize("asked", ["code=SKU_MISSING", "severity=error", "q=cup", "q=b-1", f"q={CUP}", "q=missing"])
def test_the_list_can_be_narrowed(product, read, asked):
    product(MUG, "Tin mug", "A-1", spaces(MUG))
    product(CUP, "Tin cup", "B-1", missing(CUP))

    page = read(f"/products/issues?{asked}")

    assert f"/products/{CUP}?" in page
    assert f"/products/{MUG}?" not in page


def test_an_address_from_the_admin_finds_its_record(product, read):
    product(MUG, "Tin mug", "A-1", spaces(MUG))
    product(CUP, "Tin cup", "B-1", missing(CUP))

    page = read(f"/products/issues?q=https://admin.shopify.com/store/northwind-trade/products/{CUP}")

    assert f'href="/products/{CUP}?' in page
    assert f'href="/products/{MUG}?' not in page


@pytest.mark.parametrize("words", ["anna@example.com", "ANNA@example.com", "Berg Anna", str(ANNA), "ADDRESS_LINE1"])
def test_a_customer_is_found_by_what_only_the_vault_knows(customer, read, words):
    customer(ANNA, "Anna", "anna@example.com", Issue("ADDRESS_LINE1_EMPTY", "addresses[0].address1"))
    customer(ANNA + 1, "Bo", "bo@example.com", Issue("NET_TERMS_UNUSUAL", "metafields.net_terms", "3", {"days": 3}))

    page = read(f"/customers/issues?q={words}")

    assert "Anna Berg" in page
    assert "Bo Berg" not in page


def test_nothing_that_matches_is_said_with_a_way_out(product, read):
    product(MUG, "Tin mug", "A-1", missing(MUG))

    page = read("/products/issues?q=nowhere")

    assert "No open issue matches" in page
    assert "Show all issues" in page


def test_pages_follow_each_other_without_a_gap(product, read):
    product(MUG, "Tin mug", "A-1", *(Issue("METAFIELD_UNKNOWN_KEY", f"metafields.k{n:03}") for n in range(120)))
    address, seen = "/products/issues", []

    while address:
        page = read(address)
        seen += [word for word in page.replace("<", " ").replace(">", " ").split() if word.startswith("metafields.k")]
        _, _, rest = page.partition('class="pager"')
        address = rest.partition('href="')[2].partition('"')[0].replace("&amp;", "&") if rest else None

    assert seen == [f"metafields.k{n:03}" for n in range(120)]


@pytest.mark.parametrize(
    "asked", ["after=x", "after=99999999999999999999:A:b", "after=-1:A:b", "severity=loud", "code=%00", "q=%00%ff"]
)
def test_nonsense_in_the_address_is_no_error(product, visit, asked):
    product(MUG, "Tin mug", "A-1", missing(MUG))

    assert visit(f"/products/issues?{asked}").status_code == 200


def test_what_was_fixed_is_told_for_a_day(office, product, read):
    product(MUG, "Tin mug", "A-1", missing(MUG), spaces(MUG))
    product(MUG, "Tin mug", "A-1", spaces(MUG))
    assert "1 issue disappeared" in read("/products/issues")

    with office.db.begin() as db:
        db.execute(text("UPDATE issues SET resolved_at = now() - interval '25 hours' WHERE resolved_at IS NOT NULL"))
    assert "disappeared</summary>" not in read("/products/issues")


def test_what_others_typed_is_shown_and_never_run(product, read):
    product(MUG, EVIL, f'"{EVIL}', spaces(MUG, EVIL))

    for address in ("/products/issues", "/products/issues?q=%3Cscript%3Ealert(1)%3C/script%3E"):
        page = read(address)
        assert EVIL not in page
        assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


def test_a_shop_sees_its_own_issues_alone(product, install, visit):
    product(MUG, "Tin mug", "A-1", missing(MUG))
    install(OTHER)

    for ending in ("", ".csv", ".json"):
        assert str(MUG) not in visit(f"/products/issues{ending}", shop=OTHER).text


# Files


@pytest.fixture
def table(visit):
    def get(address="/products/issues.csv"):
        answer = visit(address)
        assert answer.text.startswith("\ufeff")
        return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))

    return get


def test_a_record_is_one_line_of_the_file_whatever_is_wrong_with_it(product, table):
    product(MUG, "Tin mug", "A-1", spaces(MUG), missing(MUG))

    [line] = table()

    assert line["external_id"] == str(MUG)
    assert line["external_url"] == f"https://admin.shopify.com/store/northwind-trade/products/{MUG}"
    assert (line["visible_name"], line["severity"], line["issues"]) == ("Tin mug", "error", "2")
    assert line["codes"] == "SKU_MISSING SKU_WHITESPACE"
    assert "has no SKU" in line["message"]
    assert "compared exactly" in line["message"]


def test_the_json_says_the_same(product, table, visit):
    product(MUG, "Tin mug", "A-1", spaces(MUG), missing(MUG))
    product(CUP, "Tin cup", "B-1", missing(CUP))

    told = json.loads(visit("/products/issues.json").text)

    assert (told["shop"], told["feed"], told["listed"], told["not_listed"]) == (SHOP, "products", 2, 0)
    assert [entry["external_id"] for entry in told["errors"]] == [str(MUG), str(CUP)]
    assert [entry["message"] for entry in told["errors"]] == [line["message"] for line in table()]


def test_a_file_of_nothing_is_a_file(office, table, visit):
    assert table() == []
    assert json.loads(visit("/products/issues.json").text)["errors"] == []


def test_the_file_holds_what_the_page_shows(product, table):
    product(MUG, "Tin mug", "A-1", spaces(MUG))
    product(CUP, "Tin cup", "B-1", missing(CUP))

    assert [line["external_id"] for line in table("/products/issues.csv?severity=error")] == [str(CUP)]
    assert [line["external_id"] for line in table("/products/issues.csv?q=mug")] == [str(MUG)]


def test_a_file_names_its_shop_and_its_day(office, visit):
    today = datetime.now(UTC)
    names = [visit(f"/customers/issues.{end}").headers["Content-Disposition"] for end in ("csv", "json")]

    days = {f"{day:%Y-%m-%d}" for day in (today, today + timedelta(minutes=1))}
    assert names[0] in {f'attachment; filename="northwind-trade-customers-issues-{day}.csv"' for day in days}
    assert names[1] in {f'attachment; filename="northwind-trade-customers-issues-{day}.json"' for day in days}


@pytest.mark.parametrize("title", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", " =1"])
def test_a_spreadsheet_shows_what_is_typed_and_never_computes_it(product, table, title):
    product(MUG, title, "A-1", missing(MUG))

    assert table()[0]["visible_name"] == f"'{title}"


def test_quotes_commas_and_line_ends_stay_in_their_cell(product, table):
    product(MUG, 'a "b", c\nd; é', "A-1", missing(MUG))

    assert [line["visible_name"] for line in table()] == ['a "b", c\nd; é']


def test_no_customer_is_named_in_a_file(customer, visit):
    customer(ANNA, "Anna", "anna@example.com", Issue("ADDRESS_LINE1_EMPTY", "addresses[0].address1"))

    for ending in ("csv", "json"):
        file = visit(f"/customers/issues.{ending}").text
        assert str(ANNA) in file
        assert "Anna" not in file
        assert "anna@" not in file


def test_beyond_the_limit_the_rest_is_counted(office):
    with office.db.begin() as db:
        issue_log.replace_of_records(db, SHOP, "products", {n: [missing(n)] for n in range(1, 451)})
    export = Export(office.db, SHOP, "products", Chosen(), most=300)

    lines = list(csv.DictReader(io.StringIO("".join(export.as_csv()).removeprefix("\ufeff"))))
    told = json.loads(b"".join(export.as_json()))

    assert [line["external_id"] for line in lines] == [str(n) for n in range(1, 301)] + [""]
    assert lines[-1]["message"] == "150 more records have issues; a file lists 300."
    assert [entry["external_id"] for entry in told["errors"]] == [str(n) for n in range(1, 301)]
    assert (told["listed"], told["not_listed"]) == (300, 150)


def test_a_record_with_very_many_issues_stays_one_readable_line(product, table):
    product(MUG, "Tin mug", "A-1", *(Issue("METAFIELD_UNKNOWN_KEY", f"metafields.k{n:03}") for n in range(500)))

    [line] = table()

    assert line["issues"] == "500"
    assert line["message"].endswith("And 480 more of this record.")
