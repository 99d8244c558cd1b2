"""The translators under atheris, a coverage-guided fuzzer, beside the portable search of test_coverage_guided.py."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = ROOT / ".run"
SECONDS = 60
CORPORA = {"bodies": ("products_update*.json", "products_delete*.json"), "nodes": ("*_node*.json",)}
RAN = re.compile(r"^stat::number_of_executed_units:\s*(\d+)$", re.MULTILINE)
COVERED = re.compile(r"cov: (\d+)")


@pytest.fixture(scope="module")
def atheris():
    """The folder that atheris lies in, apart from all that the product has. Skips where there is no wheel of it."""
    lock = ROOT / "tests" / "security" / "atheris.lock"
    place = RUN / f"atheris-{sys.implementation.cache_tag}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:8]}"
    if place.exists():
        return place
    RUN.mkdir(exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="atheris-", dir=RUN))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    which = ["--require-hashes", "--only-binary", ":all:", "--target", fresh, "--requirement", lock]
    done = subprocess.run([*pip, *which], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(fresh)
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        pytest.skip(f"atheris cannot be installed for {sys.version.split()[0]} on {sys.platform} here: {said[-1]}")
    try:
        fresh.rename(place)  # whole or not at all: tests may run twice at once
    except OSError:
        shutil.rmtree(fresh)
    return place


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("target", CORPORA)
def test_the_translators_read_whatever_atheris_comes_upon(target, atheris, request, tmp_path, note_figures):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for pattern in CORPORA[target]:
        for payload in (ROOT / "tests" / "payloads").glob(pattern):
            shutil.copy(payload, corpus)
    command = [sys.executable, ROOT / "tests" / "security" / "fuzz_translators.py", target, corpus]
    bounds = [f"-max_total_time={SECONDS}", "-max_len=16384", f"-seed={request.config.getoption('fuzz_seed')}"]
    found = RUN / f"atheris-{target}-"
    done = subprocess.run(
        [*command, *bounds, "-print_final_stats=1", "-timeout=30", f"-artifact_prefix={found}"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(atheris)])},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )

    assert done.returncode == 0, f"The input is in {found}*\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    cases, reached = int(RAN.search(done.stderr)[1]), [int(edges) for edges in COVERED.findall(done.stderr)]
    note_figures(f"{target} under atheris", {"cases": cases, "covered": reached[-1], "failures": 0})
    assert cases > 1_000
    assert reached[-1] > reached[0]  # it is guided: mutants did reach what no payload had
