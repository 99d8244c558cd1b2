"""What the API answers, on a mirror that real webhooks and turns have filled."""

import re
from urllib.parse import quote

import orjson
import pytest
from sqlalchemy import text

from app.api.described import NOTE

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
BIG = 9_007_199_254_740_993  # 2^53 + 1: a float would make an even number of it
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def mirror(door, install, take_turns):
    """mirror(*bodies, shop=…) → the products are in the mirror as webhooks bring them."""

    def fill(*bodies, shop=SHOP):
        install(shop)
        for body in bodies:
            assert door.post(body, shop_domain=shop).status_code == 200
        take_turns(shop)

    return fill


@pytest.fixture
def ask(app, session_token):
    """ask(path, shop) → the answer to the shop's own token."""

    def get(path, shop=SHOP, method="GET"):
        headers = {"Authorization": f"Bearer {session_token(shop)}"}
        answer = app.test_client().open(path, method=method, headers=headers)
        if answer.mimetype == "application/json":
            hold_against_its_schema(app, path, method, answer)
        return answer

    return get


def hold_against_its_schema(app, path, method, answer):
    """Raises for what is missing, for what is not named there, and for a value of another kind."""
    endpoint, _ = app.url_map.bind("").match(path.partition("?")[0], method)
    note = getattr(app.view_functions[endpoint], NOTE, None)
    if note is not None:
        note.answers().load(answer.json)


@pytest.fixture
def look_up(ask):
    """look_up(query, feed) → the parsed answer."""

    def get(query, feed="products", shop=SHOP):
        answer = ask(f"/api/v1/{feed}?q={quote(query, safe='')}", shop)
        assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
        return orjson.loads(answer.data)

    return get


def found(answer):
    return [(result["id"], result["match"]) for result in answer["results"]]


# -- products


def test_a_product_is_answered_as_the_contract_says(mirror, look_up, product):
    mirror(product(7356521840875, variants=[{"sku": "ABC-1", "barcode": "4006381333931"}]))

    answer = look_up("ABC-1")

    (result,) = answer["results"]
    assert (answer["query"], answer["read_as"], answer["absent"]) == ("ABC-1", "sku", None)
    assert (result["id"], result["match"], result["source"]) == (7356521840875, "variant_sku", "webhook")
    assert result["admin_url"] == "https://admin.shopify.com/store/northwind-trade/products/7356521840875"
    assert isinstance(result["issues"], list)
    record = result["record"]
    told = {name: record[name] for name in ("id", "gid", "title", "handle", "status", "vendor", "tags", "updated_at")}
    assert told == {
        "id": 7356521840875,
        "gid": "gid://shopify/Product/7356521840875",
        "title": "Tin mug",
        "handle": "tin-mug-7356521840875",
        "status": "active",
        "vendor": "Northwind",
        "tags": ["enamel", "kitchen"],
        "updated_at": "2026-11-23T09:59:59Z",
    }
    assert record["variants"] == [
        {
            "id": 73565218408751,
            "sku": "ABC-1",
            "barcode": "4006381333931",
            "title": "One",
            "price": "9.90",
            "position": 1,
            "inventory_quantity": 3,
            "metafields": None,  # nobody has asked Shopify yet: unknown is not none
        }
    ]
    assert "sparklayer" in record


QUERIES = {
    "sku": ("ABC-1", "variant_sku", "sku"),
    "sku with spaces around it": ("  ABC-1 ", "variant_sku", "sku"),
    "product id": ("7356521840875", "product_id", "id"),
    "variant id": ("73565218408751", "variant_id", "id"),
    "gid": ("gid://shopify/Product/7356521840875", "product_id", "gid"),
    "variant gid": ("gid://shopify/ProductVariant/73565218408751", "variant_id", "gid"),
    "admin address": ("https://admin.shopify.com/store/x/products/7356521840875", "product_id", "admin_url"),
    "admin address of a variant": (
        "https://admin.shopify.com/store/x/products/7356521840875/variants/73565218408751",
        "variant_id",
        "admin_url",
    ),
    "shop address": ("https://shop.example/products/tin-mug-7356521840875", "handle", "handle"),
    "handle": ("tin-mug-7356521840875", "handle", "handle"),
    "barcode": ("4006381333931", "barcode", "barcode"),
    "title": ("Tin mug", "title", "title"),
    "beginning of the title in other case": ("tIN M", "title", "title"),
    "our id": ("pp_7356521840875", "product_id", "internal_id"),
    "our variant id": ("pv_73565218408751", "variant_id", "internal_id"),
}


@pytest.mark.parametrize(("query", "match", "read_as"), QUERIES.values(), ids=QUERIES)
def test_a_product_is_found_by(mirror, look_up, product, query, match, read_as):
    mirror(product(7356521840875, variants=[{"sku": "ABC-1", "barcode": "4006381333931"}]))

    answer = look_up(query)

    assert found(answer) == [(7356521840875, match)]
    assert answer["read_as"] == read_as


@pytest.mark.parametrize(
    "sku",
    [
        "00123",
        "A/B",
        "a b",
        "🦊-1",
        "50%",
        "under_score",
        "back\\slash",
        "O'Neil",
        '"quoted"',
        "x?y=1&z",
        "Ünïcode",
        "#1",
        "+1",
        "-- 1",
    ],
)
def test_any_sku_is_found_as_it_stands(mirror, look_up, product, sku):
    mirror(product(1, variants=[{"sku": sku}]), product(2, variants=[{"sku": "123"}]))

    answer = look_up(sku)

    assert found(answer) == [(1, "variant_sku")]
    assert answer["results"][0]["record"]["variants"][0]["sku"] == sku


def test_a_sku_is_compared_exactly(mirror, look_up, product):
    mirror(product(1, variants=[{"sku": "ABC-1"}]))

    assert look_up("abc-1")["results"] == []


def test_a_duplicate_sku_lists_all_holders_each_with_the_issue(mirror, look_up, product):
    mirror(*(product(n, variants=[{"sku": "TWIN"}]) for n in (11, 12, 13)))

    answer = look_up("TWIN")

    assert found(answer) == [(11, "variant_sku"), (12, "variant_sku"), (13, "variant_sku")]
    assert all("SKU_DUPLICATE" in [issue["code"] for issue in result["issues"]] for result in answer["results"])


def test_a_number_that_is_a_sku_here_and_an_id_there_shows_both(mirror, look_up, product):
    mirror(product(11, variants=[{"sku": "12345"}]), product(12345, variants=[{"sku": "X"}]))

    answer = look_up("12345")

    assert found(answer) == [(11, "variant_sku"), (12345, "product_id")]


@pytest.mark.parametrize("title", ["100% cotton", "under_score mug", "back\\slash"])
def test_wildcards_in_a_title_stand_for_themselves(mirror, look_up, product, title):
    mirror(product(1, title=title), product(2, title="100 cotton"), product(3, title="underxscore mug"))

    assert found(look_up(title)) == [(1, "title")]


@pytest.mark.parametrize("query", ["%", "_", "%%", "100%25", "mug_"])
def test_a_wildcard_alone_finds_nothing(mirror, look_up, product, query):
    mirror(product(1, title="Tin mug"))

    assert look_up(query)["results"] == []


def test_ids_beyond_what_a_float_holds_come_back_exactly(mirror, ask, product):
    mirror(product(BIG, variants=[{"sku": "BIG", "id": BIG + 2}]))

    answer = ask("/api/v1/products?q=BIG").text

    assert f'"id":{BIG},' in answer
    assert f'"id":{BIG + 2},' in answer


def test_every_time_ends_in_z(mirror, ask, product):
    mirror(product(5, variants=[{"sku": "TWIN"}]), product(6, variants=[{"sku": "TWIN"}]))

    for path in ("/api/v1/products?q=TWIN", "/api/v1/issues?feed=products", "/api/v1/explain?q=5"):
        times = [value for name, value in leaves(orjson.loads(ask(path).data)) if name in TIMES and value is not None]
        assert times
        assert all(UTC_TIME.fullmatch(time) for time in times)


TIMES = ("as_of", "updated_at", "first_seen", "last_seen", "since", "at", "received_at")


def leaves(value, name=None):
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, name)
    else:
        yield name, value


INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE products; --",
    "\x00",
    "a\x00b",
    "\\",
    "%00",
    "${jndi:ldap://x}",
    "🦊" * 200,
    "\u202e",
]


@pytest.mark.parametrize("feed", ["products", "customers"])
@pytest.mark.parametrize("query", INJECTIONS)
def test_whatever_is_typed_is_only_text(mirror, look_up, product, feed, query):
    mirror(product(1))

    assert look_up(query, feed)["results"] == []
    assert found(look_up("ABC-1")) == [(1, "variant_sku")]


# -- absent, in grades


@pytest.mark.parametrize("feed", ["products", "customers"])
def test_what_nobody_has_seen_is_never_seen(mirror, look_up, feed):
    mirror()

    absent = look_up("987654321", feed)["absent"]

    assert (absent["state"], absent["since"]) == ("never_seen", None)
    assert absent["sentence"]


@pytest.mark.parametrize(
    "query", ["", "   ", "x" * 256, "gid://shopify/Order/5", "https://admin.shopify.com/store/x/orders/5"]
)
@pytest.mark.parametrize("feed", ["products", "customers"])
def test_what_cannot_be_read_is_malformed_and_says_what_to_type(mirror, look_up, feed, query):
    mirror()

    absent = look_up(query, feed)["absent"]

    assert absent["state"] == "malformed"
    assert absent["sentence"]


def test_a_customer_asked_for_among_products_is_malformed(mirror, look_up):
    mirror()

    assert look_up("gid://shopify/Customer/5")["absent"]["state"] == "malformed"


def test_a_product_whose_delivery_waits_is_waiting(door, install, look_up, product):
    install()
    door.post(product(77))

    absent = look_up("77")["absent"]

    assert absent["state"] == "waiting"
    assert UTC_TIME.fullmatch(absent["since"])


def test_a_deleted_product_is_removed_since_shopify_said_so(mirror, door, take_turns, look_up, product):
    mirror(product(77))
    door.post({"id": 77}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    take_turns()

    answer = look_up("77")

    assert answer["results"] == []
    assert (answer["absent"]["state"], answer["absent"]["since"]) == ("removed", "2026-11-23T11:00:00Z")


@pytest.mark.parametrize("known_by", ["sku", "barcode", "id"])
def test_a_deleted_product_is_removed_whatever_it_was_known_by(mirror, door, take_turns, look_up, product, known_by):
    gone = product(77, variants=[{"id": 771, "sku": "GONE-1", "barcode": "4006381333931"}])
    mirror(gone)
    door.post({"id": 77}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    take_turns()

    absent = look_up(str({"id": 771, "sku": "GONE-1", "barcode": "4006381333931"}[known_by]))["absent"]

    assert absent["state"] == "removed"


# -- customers, with a pretend Shopify to ask


@pytest.fixture
def customers(door, devstore, install, take_turns):
    """customers(*wishes) → their ids; each has been announced by a webhook and asked about."""

    def make(*wishes):
        install()
        token = "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"
        devstore.open_shop(SHOP, token=token, products=0, customers=0)
        ids = []
        for wish in wishes:
            devstore.change(SHOP, "create_customer", **wish)
            ids.append(max(customer["id"] for customer in devstore.truth(SHOP)["customers"]))
            assert door.post({"id": ids[-1]}, "customers/create").status_code == 200
        take_turns(APP_ENV="test", SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")
        return ids

    return make


JANE = {
    "first_name": "Jane",
    "last_name": "Doe-Smith",
    "email": "Jane.Doe@example.com",
    "phone": "+15145550199",
    "tags": ["b2b"],
}


def test_a_customer_is_answered_as_the_contract_says(customers, look_up):
    (jane,) = customers(JANE)

    answer = look_up("jane.doe@example.com", "customers")

    (result,) = answer["results"]
    assert (answer["read_as"], result["id"], result["match"], result["source"]) == ("email", jane, "email", "fetch")
    assert result["admin_url"] == f"https://admin.shopify.com/store/northwind-trade/customers/{jane}"
    record = result["record"]
    assert (record["id"], record["gid"]) == (jane, f"gid://shopify/Customer/{jane}")
    assert (record["first_name"], record["last_name"], record["tags"]) == ("Jane", "Doe-Smith", ["b2b"])
    assert record["eligibility"] == {"rule": "tag", "matched": "b2b"}
    assert {"email", "phone", "company_name", "state", "addresses", "updated_at", "metafields", "sparklayer"} <= set(
        record
    )


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("JANE.DOE@EXAMPLE.COM", "email"),
        ("+1 (514) 555-0199", "phone"),
        ("jane", "name"),
        ("doe-smith", "name"),
        ("Smith Jane", "name"),
    ],
)
def test_a_customer_is_found_by(customers, look_up, query, match):
    (jane,) = customers(JANE)

    assert found(look_up(query, "customers")) == [(jane, match)]


def test_a_customer_is_found_by_id_gid_address_and_our_id(customers, look_up):
    (jane,) = customers(JANE)

    for query in (
        f"{jane}",
        f"gid://shopify/Customer/{jane}",
        f"https://admin.shopify.com/store/x/customers/{jane}",
        f"cu_{jane}",
    ):
        assert found(look_up(query, "customers")) == [(jane, "customer_id")]


def test_a_customer_who_does_not_belong_is_not_eligible_and_not_shown(customers, look_up, everything_stored):
    (near,) = customers(JANE | {"tags": ["b2b-vip"]})

    answer = look_up(f"{near}", "customers")

    assert (answer["results"], answer["absent"]["state"]) == ([], "not_eligible")
    assert look_up("jane.doe@example.com", "customers")["absent"]["state"] == "never_seen"
    assert "example.com" not in everything_stored()


def test_a_customer_who_lost_the_tag_is_removed(customers, devstore, door, take_turns, look_up):
    (jane,) = customers(JANE)
    devstore.change(SHOP, "untag_customer", id=jane, tags=["b2b"])
    door.post({"customerId": f"gid://shopify/Customer/{jane}", "tags": ["b2b"]}, "customer.tags_removed")
    take_turns(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")

    answer = look_up(f"{jane}", "customers")

    assert (answer["results"], answer["absent"]["state"]) == ([], "removed")


def test_the_authentication_metafield_is_masked(customers, devstore, door, take_turns, look_up, ask):
    (jane,) = customers(JANE)
    secret = '{"token":"very-secret-word"}'
    devstore.change(SHOP, "edit_customer_metafield", id=jane, key="authentication", value=secret)
    door.post({"id": jane}, "customers/update", triggered_at="2026-11-23T12:00:00Z")
    take_turns(SHOPIFY_ADMIN_ORIGIN=devstore.url + "/{shop}")

    record = look_up(f"{jane}", "customers")["results"][0]["record"]

    assert record["metafields"]["authentication"] == "…"
    assert "very-secret-word" not in ask(f"/api/v1/customers?q={jane}").text
    assert "very-secret-word" not in ask(f"/api/v1/explain?q={jane}").text


def test_names_and_addresses_of_members_are_sealed_in_the_database(customers, everything_stored):
    customers(JANE)

    stored = everything_stored().lower()
    assert all(word not in stored for word in ("jane.doe", "doe-smith", "5145550199", "example.com"))


# -- one shop never sees another's


def test_another_shops_records_are_never_found(app, mirror, customers, ask, product):
    (jane,) = customers(JANE)
    mirror(product(7356521840875, variants=[{"sku": "ONLY-HERE"}]), product(2, variants=[{"sku": "ONLY-HERE"}]))
    mirror(shop=OTHER)
    queries = [
        "ONLY-HERE",
        "7356521840875",
        "73565218408751",
        "tin-mug-2",
        "Tin mug",
        f"{jane}",
        "jane",
        "Jane.Doe@example.com",
    ]

    own, foreign = [], []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or "GET" not in rule.methods:
            continue
        for query in queries:
            path = re.sub(r"<[^>]*:?feed>", "products", rule.rule)
            path = re.sub(r"<[^>]*>", "1", path) + f"?q={quote(query)}&feed=products"
            own.append(ask(path).text)
            foreign.append(ask(path, OTHER).text)

    # The questions come back in the answers, so these are words that no question held.
    signs = ("Northwind", "enamel", "Doe-Smith", '"id":7356521840875', '"resource_id":2,', f'"id":{jane}')
    assert len(own) >= 4 * len(queries)
    assert all(any(sign in text for text in own) for sign in signs)  # they are there to be found
    assert not [sign for sign in signs for text in foreign if sign in text]


# -- issues and explanations


def test_issues_are_listed_page_by_page_without_gap_or_repetition(mirror, ask, product):
    mirror(*(product(n, variants=[{"sku": "TWIN"}]) for n in range(1, 131)))

    path, seen, pages = "/api/v1/issues?feed=products&code=SKU_DUPLICATE", [], 0
    after = ""
    while after is not None:
        answer = orjson.loads(ask(path + (f"&after={quote(after)}" if after else "")).data)
        seen += [issue["resource_id"] for issue in answer["issues"]]
        after, pages = answer["next"], pages + 1

    assert (seen, pages) == (list(range(1, 131)), 2)


@pytest.mark.parametrize(
    "after", ["x", "[]", "[1]", '["a","b","c"]', "{}", "null", "[1.5,1,1]", "[1e400,1,1]", "[[1],1,1]"]
)
def test_a_cursor_that_was_not_given_out_is_400(mirror, ask, after):
    mirror()

    answer = ask(f"/api/v1/issues?feed=products&after={quote(after)}")

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


@pytest.mark.parametrize(
    "more", ["&code=%00", "&code='--", '&after=[1,"%5Cu0000","x"]', '&after=[18446744073709551615,"a","b"]']
)
def test_odd_words_about_issues_find_none(mirror, ask, product, more):
    mirror(product(1, variants=[{"sku": "TWIN"}, {"sku": "TWIN"}]))

    answer = ask("/api/v1/issues?feed=products" + more)

    assert answer.status_code == 200
    assert [issue["resource_id"] for issue in answer.json["issues"]] in ([], [1])


def test_explain_tells_every_step_newest_first(mirror, door, take_turns, ask, product):
    mirror(product(77))
    door.post({"id": 77}, "products/delete", triggered_at="2026-11-23T11:00:00Z")
    take_turns()

    (feed,) = orjson.loads(ask("/api/v1/explain?q=77").data)["feeds"]

    sentences = [step["sentence"] for step in feed["steps"] if step["topic"] != "product/metafields"]
    assert feed["feed"] == "products"
    assert len(sentences) == 2
    assert [sentence.split(" received")[0] for sentence in sentences] == ["products/delete", "products/update"]
    assert "deleted" in sentences[0]
    assert "applied" in sentences[1]


def test_explain_says_why_a_dead_delivery_is_dead(install, door, ask, take_turns, database):
    install()
    door.post({"id": 77}, "products/update")
    with database.begin() as db:
        db.execute(
            text("UPDATE deliveries SET state = 'closed', outcome = 'dead', reason = 'it broke', closed_at = now()")
        )

    (feed,) = orjson.loads(ask("/api/v1/explain?q=77").data)["feeds"]

    assert "it broke" in feed["sentence"]
    assert "dead: it broke" in feed["steps"][0]["sentence"]


# -- problem documents


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/v1/issues?feed=orders", 404),
        ("GET", "/api/v1/issues?feed=" + "x" * 5_000, 404),
        ("GET", "/api/v1/issues", 400),
        ("GET", "/api/v1/products", 400),
        ("GET", "/api/v1/explain", 400),
        ("DELETE", "/api/v1/products?q=x", 405),
        ("POST", "/api/v1/explain?q=x", 405),
    ],
)
def test_every_error_is_a_problem_document(mirror, ask, method, path, status):
    mirror()

    answer = ask(path, method=method)

    problem = orjson.loads(answer.data)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert problem["title"]
    assert problem["detail"]
    assert len(answer.data) < 1_000


def test_405_says_what_is_allowed(mirror, ask):
    mirror()

    assert "GET" in ask("/api/v1/products?q=x", method="PUT").headers["Allow"]


def test_a_bug_is_a_problem_document_that_quotes_nothing(build):
    app = build()
    app.add_url_rule("/api/v1/broken", view_func=lambda: [][len("jane.doe@example.com")])

    answer = app.test_client().get("/api/v1/broken")

    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "IndexError" not in answer.text
