"""Bulk operations, and all the ways in which they end. What is not whole is never compared with."""

import tracemalloc

import orjson
import pytest

from workers.bulk_file import BulkFile

TOKEN = "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"
BY_BULK = {"BULK_RUN_RECORDS": "5"}


@pytest.fixture
def large(open_shop):
    """A shop that is read by bulk operations."""
    scene = open_shop(changes=BY_BULK, products=12, customers=0)
    scene.install()
    return scene


def in_phase(scene, phase):
    return lambda: scene.runs()[-1]["place"].get("phase") == phase


def test_the_finish_webhook_never_comes_and_is_not_needed(large):
    large.devstore.settings(large.shop, bulk_outcome="silent")
    large.lose("create_product")

    run = large.run("products", complete=True)

    assert (run["state"], run["created"], run["expected"]) == ("finished", 1, 13)


@pytest.mark.parametrize("outcome", ["failed", "partial"])
def test_an_operation_that_fails_is_begun_again(large, outcome):
    large.lose("create_product")
    large.devstore.settings(large.shop, bulk_outcome=outcome)
    large.start("products", complete=True)
    large.steps(until=lambda: large.runs()[-1]["place"].get("tries") == 1)

    large.devstore.settings(large.shop, bulk_outcome="completed")
    large.work()

    run = large.runs()[-1]
    assert (run["state"], run["seen"], run["created"], run["removed"]) == ("finished", 13, 1, 0)
    assert large.differences() == []


@pytest.mark.parametrize("outcome", ["failed", "partial"])
def test_an_operation_that_fails_three_times_fails_the_run_and_touches_nothing(large, outcome):
    large.devstore.settings(large.shop, bulk_outcome=outcome)

    run = large.run("products", complete=True)

    assert run["state"] == "failed"
    assert run["reason"].startswith("Shopify's bulk operation ended as FAILED")
    assert (run["seen"], run["removed"]) == (0, 0)
    assert large.differences() == []


def test_an_operation_that_gets_no_further_is_cancelled_and_begun_again(large, monkeypatch):
    from workers import runs

    large.devstore.settings(large.shop, bulk_outcome="stuck")
    large.start("products", complete=True)
    large.steps(until=lambda: large.runs()[-1]["place"].get("moved_at"))
    large.execute(
        """UPDATE runs SET place = place || jsonb_build_object('moved_at', now() - :patience * interval '1 second')
           WHERE state = 'running'""",
        patience=runs.STUCK.total_seconds(),
    )
    large.asked()

    large.step()
    large.devstore.settings(large.shop, bulk_outcome="completed")
    large.work()

    assert large.asked()["BulkCancel"] == 1
    assert large.runs()[-1]["state"] == "finished"


def test_while_shopify_runs_as_many_as_it_allows_the_run_waits_and_does_not_fail(large):
    large.devstore.settings(large.shop, bulk_outcome="stuck")
    mutation = (
        'mutation { bulkOperationRunQuery(query: "{ products { edges { node { id } } } }") { userErrors { code } } }'
    )
    for _ in range(5):
        large.workshop.admin.query(large.shop, "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", mutation, {}, 10)
    large.start("products", complete=True)

    for _ in range(10):
        large.step()

    run = large.runs()[-1]
    assert (run["state"], run["attempts"], run["place"]["phase"]) == ("running", 0, "bulk")
    assert "as many bulk operations as it may" in run["reason"]


def test_a_download_that_breaks_off_is_begun_again_and_nothing_of_it_counts_twice(large):
    large.lose("create_product")
    large.devstore.fault("half_body", shop=large.shop, place="bulk", times=2)

    run = large.run("products", complete=True)

    assert (run["state"], run["seen"], run["created"], run["removed"]) == ("finished", 13, 1, 0)


@pytest.mark.parametrize("kind", ["500", "garbage", "404"])
def test_a_file_that_cannot_be_had_fails_the_run_at_last(large, kind):
    large.devstore.fault(kind, shop=large.shop, place="bulk", times=100)

    run = large.run("products", complete=True)

    assert (run["state"], run["removed"]) == ("failed", 0)
    assert large.shop in run["reason"]
    assert large.differences() == []


@pytest.mark.parametrize("change", [-1, 1])
@pytest.mark.parametrize("count", ["objects", "roots"])
def test_a_file_that_does_not_hold_what_was_announced_is_never_compared_with(large, count, change):
    large.start("products", complete=True)
    large.steps(until=in_phase(large, "read"))
    large.execute(
        f"""UPDATE runs SET place = jsonb_set(place, '{{{count}}}', to_jsonb((place ->> '{count}')::int + :change))
            WHERE state = 'running'""",
        change=change,
    )

    large.work()

    run = large.runs()[-1]
    assert (run["state"], run["seen"], run["removed"]) == ("failed", 0, 0)
    assert "announced" in run["reason"]
    assert large.differences() == []


def test_a_run_that_died_while_reading_the_file_reads_on_and_counts_nothing_twice(large, monkeypatch):
    from workers import runs

    monkeypatch.setattr(runs, "BULK_BATCH", 5)
    for product in large.products:
        large.lose("edit_product", id=product["id"], title="Renamed")
    number = large.start("products", complete=True)
    large.steps(until=in_phase(large, "read"))
    compared = []
    compare = runs.COMPARE_WHOLE["products"]

    def die(work, nodes, at):
        if len(compared) == 1:
            raise SystemExit
        compared.append(len(nodes))
        return compare(work, nodes, at)

    monkeypatch.setitem(runs.COMPARE_WHOLE, "products", die)
    with pytest.raises(SystemExit):
        large.step()
    assert (large.row(number)["seen"], large.step()) == (5, False)  # leased: nobody doubles it

    monkeypatch.setitem(runs.COMPARE_WHOLE, "products", compare)
    large.execute("UPDATE runs SET leased_until = now() - interval '1 second'")
    large.work()

    run = large.row(number)
    assert (run["state"], run["seen"], run["changed"], run["removed"]) == ("finished", 12, 12, 0)
    assert large.value("SELECT count(*) FROM deliveries WHERE run = :run", run=number) == 12
    assert large.differences() == []


def test_a_large_file_is_read_in_portions_between_which_others_have_their_turn(large, monkeypatch):
    from workers import runs

    monkeypatch.setattr(runs, "READ_SECONDS", 0.0)
    monkeypatch.setattr(runs, "READ_FOR_EACH_LOADING", 0.0)
    monkeypatch.setattr(runs, "BULK_BATCH", 5)
    large.lose("create_product")
    number = large.start("products", complete=True)
    large.steps(until=in_phase(large, "read"))

    done = []
    while large.row(number)["place"].get("phase") == "read":
        large.step()
        done.append(large.row(number)["seen"])
    large.work()

    assert done == [5, 10, 13]
    assert large.row(number)["state"] == "finished"
    assert large.differences() == []


# The file itself.


def line(kind, number, parent=None, **fields):
    identity = {"id": f"gid://shopify/{kind}/{number}"} | fields
    return identity | ({"__parentId": f"gid://shopify/{parent[0]}/{parent[1]}"} if parent else {})


def test_children_find_their_parents_wherever_they_stand():
    lines = [
        line("Metafield", 100, ("ProductVariant", 10), key="pack_size", value="6", type="number_integer"),
        line("ProductVariant", 20, ("Product", 2), sku="B"),
        line("Product", 1),
        line("ProductVariant", 10, ("Product", 1), sku="A"),
        line("Metafield", 101, ("Product", 2), key="pack_size", value="9", type="number_integer"),
        line("Product", 2),
        line("ProductVariant", 11, ("Product", 1), sku="A2"),
    ]

    with BulkFile() as file:
        file.load(lines, lambda: None)
        one, two = file.nodes()

    assert (file.objects, file.roots) == (7, 2)
    assert [variant["sku"] for variant in one["variants"]["nodes"]] == ["A", "A2"]
    assert [field["value"] for field in one["variants"]["nodes"][0]["metafields"]["nodes"]] == ["6"]
    assert one["variants"]["nodes"][1]["metafields"] == {"nodes": []}
    assert [field["value"] for field in two["metafields"]["nodes"]] == ["9"]


def test_a_record_without_children_has_none_which_is_not_unknown():
    with BulkFile() as file:
        file.load([line("Customer", 1, tags=[])], lambda: None)
        (node,) = file.nodes()

    assert node["metafields"] == {"nodes": []}


def test_memory_does_not_grow_with_the_file():
    def lines(count):
        for n in range(count):
            yield line("Product", n, title="A title of some length, as merchants have them " * 3)

    def peak(count):
        tracemalloc.start()
        with BulkFile() as file:
            file.load(lines(count), lambda: None)
            assert sum(1 for _ in file.nodes()) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(12_000) < 1.5 * peak(4_000)


def test_a_long_load_says_now_and_then_that_it_is_still_there():
    said = []

    with BulkFile() as file:
        file.load((orjson.loads(orjson.dumps(line("Product", n))) for n in range(5_000)), lambda: said.append(1))

    assert len(said) >= 2
