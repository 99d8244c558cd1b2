"""docs/reliability.md says what was noted, and nothing else."""

import json

from tests.reliability import report

STAMP = {"at": "2026-11-24T06:00:00+00:00", "commit": "abc1234"}
CLEAN = {"lost": 0, "closed_twice": 0, "wrongly_removed": 0}
CONVERGED = {"seconds_to_converge": {"median": 2.5, "most": 9.0}}
KILL = {"points": 6, "kills": 11, "not_met": ["after web: a by b"], "leases": "2 s"} | CONVERGED
NOTED = {
    "tests": {
        "tests/reliability/test_kill.py::test_a": {"outcome": "passed", "seconds": 90.0},
        "tests/reliability/test_faults.py::test_b": {"outcome": "failed", "seconds": 30.0},
        "tests/reliability/test_faults.py::test_c": {"outcome": "skipped", "seconds": 0.0, "why": "needs root"},
    },
    "web killed at every write": KILL | CLEAN | STAMP,
    "keys killed": {"points": 3, "kills": 6, "not_met": []} | CLEAN | STAMP,  # who breaks off a command starts it again
    "Redis away": {"trouble_seconds": 8.0, "seconds_to_converge": 3.25, "deliveries": 1_200} | CLEAN | STAMP,
    "told to stop": {"seconds_to_drain": 0.9, "seconds_to_converge": 1.4} | CLEAN | STAMP,
    "soak": {
        "minutes": 30.0,
        "done": {"changes": 9_000, "replays": 12},
        "deliveries": 8_000,
        **CLEAN,
        "quarters": [
            {"measure": "memory", "of": "live", "second": 80_000_000, "last": 81_500_000},
            {"measure": "handles", "of": "live", "second": 21, "last": 21},
            {"measure": "process", "of": "live", "second": 7, "last": 7},
        ],
        **STAMP,
    },
    "stories": {"schedules": 400, "steps": 20_000, "deaths in mid-turn": 7, **CLEAN}
    | {"commit": "def5678", "at": "2026-11-25T00:00"},
    "fuzzed deliveries": {"cases": 160_000, "status_500": 0} | STAMP,
}


def rows(noted, where="2 cores, Linux x86_64"):
    return report.page(noted, where).splitlines()


def test_given_figures_become_the_given_tables():
    written = rows(NOTED)

    assert "Seen 2026-11-24 to 2026-11-25 on 2 cores, Linux x86_64; code of `abc1234`, `def5678`." in written
    first = written.index("|  | seen |")
    assert written[first + 2 : first + 12] == [
        "| schedules run | 400 |",
        "| steps in them | 20,000 |",
        "| kills | 17 |",
        "| faults survived | 1 |",
        "| deliveries accepted | 9,200 |",
        "| lost | 0 |",
        "| doubled effects | 0 |",
        "| wrongly removed | 0 |",
        "| fuzz cases | 160,000 |",
        "| answers of 500 | 0 |",
    ]
    assert "| web killed at every write | 6 | 11 | 1 | 2.5 | 9 |" in written
    assert "| keys killed | 3 | 6 | 0 |  |  |" in written
    assert "- after web: a by b" in written
    assert "| Redis away | 3.2 | 1,200 | trouble seconds 8 |" in written
    assert "| told to stop | 0.9 | 1.4 |" in written
    assert "| done | changes 9,000, replays 12 |" in written
    assert "| memory | live | 80.00 | 81.50 |" in written
    assert "| handles | live | 21 | 21 |" in written


def test_what_failed_or_was_skipped_is_named():
    written = rows(NOTED)

    assert "1 of 3 long tests have passed, in 2 minutes." in written
    assert "- failed: `tests/reliability/test_faults.py::test_b`" in written
    assert "- skipped: `tests/reliability/test_faults.py::test_c`: needs root" in written


def test_what_was_not_seen_has_no_line():
    written = "\n".join(rows({name: NOTED[name] for name in ("Redis away",)}))

    assert "| faults survived | 1 |" in written
    for word in ("schedules run", "| kills", "fuzz cases", "## Kills", "## Soak", "long tests have passed"):
        assert word not in written
    assert "Nothing has been seen yet." in "\n".join(rows({}))


def test_a_note_is_kept_beside_the_others_with_its_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "NOTED", tmp_path / "run" / "reliability.json")

    report.note("one", {"cases": 1})
    report.note("other", {"cases": 2})
    report.note_test("test_x", "passed", 1.26, None)

    noted = json.loads(report.NOTED.read_text())
    assert (noted["one"]["cases"], noted["other"]["cases"]) == (1, 2)
    assert noted["one"]["commit"] == report.commit()
    assert noted["tests"] == {"test_x": {"outcome": "passed", "seconds": 1.3}}
