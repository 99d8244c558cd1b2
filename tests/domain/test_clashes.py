import time

import pytest

from domain.clashes import email_clashes, fold_email, fold_sku, sku_clashes


def codes(answer):
    return {holder: [issue.code for issue in issues] for holder, issues in answer.items()}


def test_every_holder_of_a_shared_sku_has_the_error():
    answer = sku_clashes([("ABC-1", 1, 11), ("ABC-1", 2, 21)])

    assert codes(answer) == {(1, 11): ["SKU_DUPLICATE"], (2, 21): ["SKU_DUPLICATE"]}
    assert answer[1, 11][0].facts == {"others": "variant 21 of product 2"}
    assert answer[1, 11][0].path == "variants[11].sku"


def test_two_variants_of_one_product_clash_too():
    assert codes(sku_clashes([("ABC-1", 1, 11), ("ABC-1", 1, 12)]))[1, 12] == ["SKU_DUPLICATE"]


@pytest.mark.parametrize("other", ["abc-1", "ABC-1 ", " ABC-1", "ABC -1", "Abc-1", "ABC-1\u00a0"])
def test_a_sku_that_differs_only_by_case_or_spaces_is_a_warning(other):
    answer = sku_clashes([("ABC-1", 1, 11), (other, 2, 21)])

    assert codes(answer) == {(1, 11): ["SKU_NEAR_DUPLICATE"], (2, 21): ["SKU_NEAR_DUPLICATE"]}


@pytest.mark.parametrize("other", ["ABC-2", "ABC1", "0ABC-1", "ABC-01"])
def test_other_skus_do_not_clash(other):
    assert codes(sku_clashes([("ABC-1", 1, 11), (other, 2, 21)])) == {(1, 11): [], (2, 21): []}


def test_correcting_either_side_clears_both():
    assert codes(sku_clashes([("ABC-1", 1, 11), ("ABC-2", 2, 21)])) == {(1, 11): [], (2, 21): []}


def test_a_holder_may_clash_exactly_with_one_and_nearly_with_another():
    answer = sku_clashes([("A", 1, 11), ("A", 2, 21), ("a", 3, 31)])

    assert codes(answer)[1, 11] == ["SKU_DUPLICATE", "SKU_NEAR_DUPLICATE"]
    assert codes(answer)[3, 31] == ["SKU_NEAR_DUPLICATE"]
    assert answer[3, 31][0].facts == {"others": "variant 11 of product 1 and variant 21 of product 2"}


def test_missing_skus_do_not_clash():
    assert codes(sku_clashes([("", 1, 11), (" ", 2, 21), ("", 3, 31)])) == {(1, 11): [], (2, 21): [], (3, 31): []}


def test_one_more_holder_of_a_sku_that_many_share_rewrites_nobody():
    many = [("ABC-1", number, number * 10) for number in range(1, 10_001)]
    started = time.process_time()

    before = sku_clashes(many)
    after = sku_clashes([*many, ("ABC-1", 20_000, 200_000)])

    assert {holder: issues for holder, issues in after.items() if holder in before} == before
    assert time.process_time() - started < 5
    assert before[1, 10][0].facts["others"] == (
        "variant 20 of product 2, variant 30 of product 3, variant 40 of product 4 and others"
    )


def test_the_order_of_the_holders_does_not_matter():
    holders = [("A", 3, 31), ("a", 1, 11), ("A", 2, 21)]

    assert sku_clashes(holders) == sku_clashes(list(reversed(holders)))


def test_near_duplicates_among_many_spellings_stay_quick():
    started = time.process_time()

    sku_clashes([("A" * (number % 2) + "a" * (1 - number % 2), number, number) for number in range(20_000)])

    assert time.process_time() - started < 5


def test_customers_who_share_an_address_name_each_other_but_not_the_address():
    answer = email_clashes([("token", 7), ("token", 9), ("other", 8)])

    assert codes(answer) == {7: ["EMAIL_DUPLICATE"], 9: ["EMAIL_DUPLICATE"], 8: []}
    assert answer[7][0].facts == {"others": "customer 9"}
    assert "token" not in repr(answer)


def test_folding_makes_alike_what_people_read_alike():
    assert fold_sku(" Abc\t1 ") == fold_sku("ABC1") == "abc1"
    assert fold_email(" Maja@Example.com") == fold_email("maja@example.COM ")
