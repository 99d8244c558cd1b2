import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
QUICK = CHECKOUT / "bench" / "results" / "quick.json"
FIGURES = (
    "First POST to last row committed, beside Express + BullMQ",
    "First POST to last row committed, beside Flask + RQ",
    "Rows committed, of what COPY alone writes",
    "Peak accepted (ours are durable rows), beside Express + BullMQ",
    "Peak accepted, of what a bare WSGI app answers",
    "Acknowledgement at half the peak: p99",
    "POST to lookup, idle: p50",
    "POST to lookup, under load: p99",
    "Storm of 1,000 deliveries about 10 products: rows written",
    "Storm: POST to lookup of other shops",
    "Lookup by sku",
    "Lookup by id",
    "Lookup by title prefix",
    "Lookup by barcode",
    "Page /products of that shop",
    "Memory of web",
    "Memory of live",
    "Memory of bulk",
    "Memory of clock",
    "Replay of 600 dead deliveries",
    "Replay: live p99, alone → beside it",
    "Backfill: 60 products",
    "Backfill of products: records/s",
    "Backfill of customers: records/s",
    "Backfill: memory of bulk",
    "First import of 60 products: another shop's live p99",
    "Quiet cycle of 3 shops",
    "queries (a run) / points",
    "Quiet cycle of one shop with 30 products",
)
SIDES = {"Data Sync", "Express + BullMQ", "Flask + RQ, SimpleWorker", "Flask + RQ"}
FLOOR = {"floor: bare WSGI", "floor: COPY alone"}
PAGE = CHECKOUT / "docs" / "performance.md"


def start(*options):
    command = [sys.executable, "-m", "bench", *options]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.timeout(900)
def test_the_bench_prints_every_figure_of_all_sides_and_saw_every_delivery_arrive():
    page = PAGE.read_bytes() if PAGE.exists() else None
    bench = start("--quick")
    printed, complaints = bench.communicate()

    assert bench.returncode == 0, complaints
    assert [figure for figure in FIGURES if figure not in printed] == []
    assert "All deliveries arrived." in printed
    written = json.loads(QUICK.read_text())
    rounds = written["end_to_end"]
    assert {side: of["lost"] for side, of in rounds.items()} == dict.fromkeys(SIDES | FLOOR, 0)
    assert {side for side, of in rounds.items() if of.get("applied_per_second", {}).get("median", 0) > 0} == SIDES | {
        "floor: COPY alone"
    }
    assert {side for side, of in rounds.items() if of.get("accepted_per_second", {}).get("median", 0) > 0} == SIDES | {
        "floor: bare WSGI"
    }
    assert written["acknowledgement"].keys() == written["idle"].keys() == SIDES
    assert {"Data Sync", "Express + BullMQ"} == written["under_load"].keys()
    assert {goal["figure"] for goal in written["goals"]} >= {
        "Acknowledgement at half the peak: p99, ms",
        "POST to lookup, idle: p50, ms",
    }
    backfill, many = written["backfill"], written["quiet"]["many"]
    assert (backfill["products"], backfill["customers"]) == (60, 120)
    assert {"BulkRun", "BulkState"} <= set(backfill["asked"]["operations"])
    assert many["operations"] == {"ProductList": 3, "DeletedProducts": 3, "CustomerList": 3}
    assert {of["queries"] for of in written["quiet"]["by_size"].values()} == {3}
    assert (PAGE.read_bytes() if PAGE.exists() else None) == page  # a quick run's figures mean nothing


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("measurement", "step"), [("end-to-end", "signing"), ("quiet", "quiet: first imports")])
def test_a_bench_that_is_interrupted_leaves_nothing_behind(measurement, step):
    bench = start("--quick", "--only", measurement)
    for line in bench.stderr:
        if line.startswith(step):
            break
    family = psutil.Process(bench.pid).children(recursive=True)

    os.kill(bench.pid, signal.SIGINT)
    bench.communicate()

    assert bench.returncode == 1
    assert len(family) > 5
    _, left = psutil.wait_procs(family, timeout=60)
    assert left == []
