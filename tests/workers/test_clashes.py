"""What only shows beside others: one SKU on two variants, one address of two customers."""

import pytest

MUG, CUP, JAR = 7001, 7002, 7003
ADA, BO = 5001, 5002


def send(floor, product_id, second, *skus):
    variants = [{"id": product_id * 10 + n, "sku": sku} for n, sku in enumerate(skus)]
    floor.send("products/update", floor.body(product_id, second, variants=variants), second)
    floor.turn()


def clashes(floor, product_id, feed="products"):
    return [code for code in floor.codes(feed, product_id) if code.endswith("DUPLICATE")]


def test_every_holder_of_a_sku_is_flagged_in_both_products(floor):
    send(floor, MUG, 1, "A-1", "A-1", "B-2")
    send(floor, CUP, 1, "A-1")

    paths = {issue["path"] for product in (MUG, CUP) for issue in floor.issues("products", product)}
    assert paths == {"variants[70010].sku", "variants[70011].sku", "variants[70020].sku"}
    assert clashes(floor, MUG) == ["SKU_DUPLICATE", "SKU_DUPLICATE"]
    assert "variant 70010 of product 7001" in str(floor.issues("products", CUP))


def test_mending_one_side_clears_both(floor):
    send(floor, MUG, 1, "A-1")
    send(floor, CUP, 1, "A-1")

    send(floor, CUP, 2, "A-2")

    assert (clashes(floor, MUG), clashes(floor, CUP)) == ([], [])


def test_deleting_one_side_clears_the_other(floor):
    send(floor, MUG, 1, "A-1")
    send(floor, CUP, 1, "A-1")

    floor.send("products/delete", {"id": CUP}, 2)
    floor.turn()

    assert (clashes(floor, MUG), clashes(floor, CUP)) == ([], [])


def test_a_third_holder_joins_and_leaves(floor):
    for product in (MUG, CUP, JAR):
        send(floor, product, 1, "A-1")
    send(floor, JAR, 2, "J-1")

    assert [clashes(floor, product) for product in (MUG, CUP, JAR)] == [["SKU_DUPLICATE"], ["SKU_DUPLICATE"], []]


@pytest.mark.parametrize("near", ["a-1", " A-1", "A- 1"])
def test_skus_that_differ_by_case_or_spaces_are_near_duplicates(floor, near):
    send(floor, MUG, 1, "A-1")
    send(floor, CUP, 1, near)

    assert (clashes(floor, MUG), clashes(floor, CUP)) == (["SKU_NEAR_DUPLICATE"], ["SKU_NEAR_DUPLICATE"])


def test_a_variant_that_moves_from_one_clash_into_another_has_one_issue(floor):
    send(floor, MUG, 1, "A-1")
    send(floor, CUP, 1, "B-2")
    send(floor, JAR, 1, "A-1")
    send(floor, JAR, 2, "B-2")

    assert [clashes(floor, product) for product in (MUG, CUP, JAR)] == [[], ["SKU_DUPLICATE"], ["SKU_DUPLICATE"]]
    [issue] = floor.issues("products", JAR)
    assert "product 7002" in str(issue)


def test_products_without_a_sku_do_not_clash(floor):
    send(floor, MUG, 1, None)
    send(floor, CUP, 1, "")

    assert clashes(floor, MUG) == clashes(floor, CUP) == []


def test_the_same_sku_in_another_shop_is_no_clash(floor, other):
    send(floor, MUG, 1, "A-1")
    send(other, MUG, 1, "A-1")

    assert clashes(floor, MUG) == clashes(other, MUG) == []


def test_two_thousand_holders_are_not_rewritten_when_one_of_them_changes(floor, witness):
    same = [{"sku": "SAME", "position": 1}]
    floor.store(floor.body(n, 1, variants=[same[0] | {"id": n}]) for n in range(1, 2_001))
    while floor.due():
        floor.turn()
    assert floor.value("SELECT count(*) FROM issues WHERE code = 'SKU_DUPLICATE' AND resolved_at IS NULL") == 2_000
    written = witness("issues")

    floor.send("products/update", floor.body(77, 2, title="New", variants=[same[0] | {"id": 77}]), 2)
    floor.turn()
    assert floor.product(77).core.title == "New"
    assert written() == []

    floor.send("products/update", floor.body(77, 3, variants=[{"id": 77, "sku": "OTHER"}]), 3)
    floor.turn()
    assert [row["resource_id"] for row in written()] == [77]


def create(floor, number, email):
    floor.change("create_customer", id=number, tags=["b2b"], email=email)
    floor.turn()


def test_two_customers_with_one_address_are_both_flagged_without_saying_it(floor):
    create(floor, ADA, "orders@corner.example")
    create(floor, BO, "Orders@Corner.example ")

    assert clashes(floor, ADA, "customers") == clashes(floor, BO, "customers") == ["EMAIL_DUPLICATE"]
    assert f"customer {ADA}" in str(floor.issues("customers", BO))
    assert floor.mentions("orders@corner.example") == []


@pytest.mark.parametrize(
    ("kind", "wishes"),
    [
        ("edit_customer", {"email": "bo@corner.example"}),
        ("delete_customer", {}),
        ("untag_customer", {"tags": ["b2b"]}),
    ],
)
def test_when_one_of_them_changes_or_leaves_both_are_cleared(floor, kind, wishes):
    create(floor, ADA, "orders@corner.example")
    create(floor, BO, "orders@corner.example")

    floor.change(kind, id=BO, **wishes)
    floor.turn()

    assert clashes(floor, ADA, "customers") == clashes(floor, BO, "customers") == []


def test_nothing_is_left_of_an_address_when_those_who_had_it_no_longer_belong(floor):
    create(floor, ADA, "orders@corner.example")
    create(floor, BO, "orders@corner.example")
    assert len(scopes(floor)) == 1

    for number in (ADA, BO):
        floor.change("untag_customer", id=number, tags=["b2b"])
    floor.turn()

    assert scopes(floor) == set()


def scopes(floor):
    """The blind indexes of addresses that stand in issues, open or resolved."""
    return {row["scope"] for row in floor.rows("SELECT scope FROM issues WHERE scope LIKE 'email:%'")}
