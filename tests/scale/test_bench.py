"""The measurement itself, in a tiny size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = CHECKOUT / "bench" / "results"


@pytest.mark.timeout(900)
def test_the_bench_weighs_deliveries_runs_and_the_clock_and_writes_a_page_about_it():
    command = [sys.executable, "-m", "bench", "--quick", "--only", "scale"]
    bench = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert bench.returncode == 0, bench.stderr
    found = json.loads((RESULTS / "quick-scale.json").read_text())["scale"]
    for ground in found["deliveries"].values():
        for kind in ("changed", "unchanged"):
            assert ground[kind]["cpu_ms"]["web"] > 0
            assert ground[kind]["wal_bytes"] > 0
            assert ground[kind]["blocks"] > 10
    assert found["runs"]["quiet_run"]["cpu_ms"]["bulk"] > 0
    assert found["storage"]["deliveries"]["table"] > found["storage"]["old deliveries"]["table"]  # it has its body
    page = (RESULTS / "capacity.md").read_text()
    assert all(f"\n## {part}" in page for part in ("Prices", "Formulas", "Worked examples", "What ends first"))
    assert "nan" not in page
