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
    "first POST to last row committed",
    "peak accepted",
    "Acknowledgement at half the peak",
    "p99, ms",
    "Idle: POST to lookup p50",
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
    "alone → beside it",
    "Backfill: 60 products",
    "products: records/s",
    "customers: records/s",
    "memory of bulk",
    "Quiet cycle of 3 shops",
    "queries (a run) / points",
    "Quiet cycle of one shop with 30 products",
)


def start(*options):
    command = [sys.executable, "-m", "bench", *options]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.timeout(300)
def test_the_bench_prints_every_figure_of_both_sides_and_saw_every_delivery_arrive():
    bench = start("--quick")
    printed, complaints = bench.communicate()

    assert bench.returncode == 0, complaints
    assert [figure for figure in FIGURES if figure not in printed] == []
    assert "All deliveries arrived." in printed
    written = json.loads(QUICK.read_text())
    assert {side: of["lost"] for side, of in written["end_to_end"].items()} == {"Data Sync": 0, "plain Flask + RQ": 0}
    assert all(of["applied_per_second"]["median"] > 0 for of in written["end_to_end"].values())
    assert {goal["figure"].strip().partition(",")[0] for goal in written["goals"]} >= {
        "p99",
        "Idle: POST to lookup p50",
    }
    backfill, many = written["backfill"], written["quiet"]["many"]
    assert (backfill["products"], backfill["customers"]) == (60, 120)
    assert {"BulkRun", "BulkState"} <= set(backfill["asked"]["operations"])
    assert many["operations"] == {"ProductList": 3, "DeletedProducts": 3, "CustomerList": 3}
    assert {of["queries"] for of in written["quiet"]["by_size"].values()} == {3}


@pytest.mark.timeout(120)
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
    _, left = psutil.wait_procs(family, timeout=15)
    assert left == []
