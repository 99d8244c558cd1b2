"""Writes docs/reliability.md from what the long tests have noted: `python -m tests.reliability.report`.

Nothing in the document but its first paragraphs is written by hand, and nothing is in it that was not seen: a figure
that no test has noted has no line.
"""

import fcntl
import json
import os
import platform
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NOTED = ROOT / ".run" / "reliability.json"
DOCUMENT = ROOT / "docs" / "reliability.md"

INTRODUCTION = """\
# What was seen

`make test-long` writes this page, from what its tests have counted. Most of them end with the invariant of
[`devstore/invariant.py`](../devstore/invariant.py): the mirror equals the store, everything that was answered 200 is
stored once, everything decided has one outcome, nothing that exists was removed, and nobody who was to be forgotten is
known. Nobody lifts a hand: seconds to converge are those from the mending, or the death, until that held again.

- *Kills*: each process dies by SIGKILL before and after each of its durable writes (`tests/reliability/test_kill.py`).
- *Faults*: what the product stands on breaks while a shop goes on changing (`tests/reliability/test_faults.py`).
- *Stops*: processes are told to end (SIGTERM) at work, as a deployment does (`tests/reliability/test_kill.py`).
- *Schedules*: changes, losses, doubles, delays, runs, replays and redactions in any order (`tests/reliability/`).
- *Soak*: all of it at once, for as long as its table says, with rows kept for seconds instead of days so that they
  really go (`tests/reliability/test_soak.py`). The inbox is one table, not partitioned by day, since a webhook's id
  must be unique over all of it ([why](decisions.md)). So there are no partitions to be made and dropped on time; shown
  is what would go wrong instead: that deleting keeps tables and indexes at one size, and that vacuum keeps up.
- *Fuzz*: mutated deliveries and requests through the real application (`tests/security/test_fuzz.py`).
"""

MARKS = ("at", "commit")  # of each note: when, and of which code
# What adds up over all notes, in the order of the first table: by the notes' own names.
SUMS = (
    ("schedules run", ("schedules",)),
    ("steps in them", ("steps",)),
    ("kills", ("kills",)),
    ("faults survived", ("faults",)),
    ("deliveries accepted", ("deliveries",)),
    ("lost", ("lost",)),
    ("doubled effects", ("closed_twice", "doubled")),
    ("wrongly removed", ("wrongly_removed",)),
    ("fuzz cases", ("cases",)),
    ("answers of 500", ("status_500",)),
)
UNITS = {"memory": 1_000_000, "bytes in Redis": 1_000_000, "table": 1_000_000}
LEAST_SHOWN = {"table": 200_000, "dead tuples": 100, "process": 10**12}


def note(name, figures):
    """Keep what a test has counted, with when and of which code."""
    stamp = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit()}
    with _noted() as noted:
        noted[name] = figures | stamp


def note_test(name, outcome, seconds, why):
    with _noted() as noted:
        told = {"outcome": outcome, "seconds": round(seconds, 1)} | ({"why": why} if why else {})
        noted.setdefault("tests", {})[name] = told


@contextmanager
def _noted():
    """What has been noted so far, to add to; several tests may be at it."""
    NOTED.parent.mkdir(exist_ok=True)
    with NOTED.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        noted = json.loads(file.read() or "{}")
        yield noted
        file.truncate(0)
        file.write(json.dumps(noted, indent=1))


def main() -> None:
    noted = json.loads(NOTED.read_text()) if NOTED.exists() else {}
    DOCUMENT.write_text(page(noted, machine()))
    print(f"What was seen stands in {DOCUMENT.relative_to(ROOT)}.")  # noqa: T201  # said to a terminal


def machine():
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def page(noted, where):
    """The whole document."""
    tests = noted.get("tests", {})
    notes = {name: note for name, note in noted.items() if name != "tests"}
    parts = [INTRODUCTION, *of_when(notes, where), *of_tests(tests), *of_sums(notes), *of_kills(notes)]
    parts += [*of_faults(notes), *of_stops(notes), *of_soaks(notes), *of_the_rest(notes)]
    return "\n".join(parts).rstrip("\n") + "\n"


def of_when(notes, where):
    if not notes:
        yield "Nothing has been seen yet.\n"
        return
    days = sorted(note["at"][:10] for note in notes.values())
    commits = ", ".join(f"`{commit}`" for commit in sorted({note["commit"] for note in notes.values()}))
    when = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    yield f"Seen {when} on {where}; code of {commits}.\n"


def of_tests(tests):
    """Whatever did not pass is named here, not left out."""
    if tests:
        outcomes = [one["outcome"] for one in tests.values()]
        minutes = sum(one["seconds"] for one in tests.values()) / 60
        yield f"{outcomes.count('passed')} of {len(tests)} long tests have passed, in {minutes:,.0f} minutes.\n"
    for name, one in sorted(tests.items()):
        if one["outcome"] != "passed":
            yield f"- {one['outcome']}: `{name}`{': ' + one['why'] if one.get('why') else ''}"
    if any(one["outcome"] != "passed" for one in tests.values()):
        yield ""


def of_sums(notes):
    rows = []
    for title, names in SUMS:
        seen = [note[name] for note in notes.values() for name in names if isinstance(note.get(name), (int, float))]
        seen += [1 for note in notes.values() if names == ("faults",) and is_fault(note)]
        if seen:
            rows.append([title, number(sum(seen))])
    yield from table(["", "seen"], rows)


def is_kill(note):
    """By SIGKILL, at points; the deaths in a story are of its own making."""
    return "points" in note


def is_fault(note):
    converged = isinstance(note.get("seconds_to_converge"), (int, float))
    return converged and "quarters" not in note and not is_stop(note)


def is_stop(note):
    return "seconds_to_drain" in note


def of_kills(notes):
    rows = [
        [
            name,
            number(note["points"]),
            number(note["kills"]),
            number(len(note["not_met"])),
            *(number(note.get("seconds_to_converge", {}).get(which)) for which in ("median", "most")),
        ]
        for name, note in sorted(notes.items())
        if is_kill(note)
    ]
    if rows:
        yield "## Kills\n"
        leases = sorted({note["leases"] for note in notes.values() if is_kill(note) and "leases" in note})
        yield from (f"Leases were {words}.\n" for words in leases)
        yield "The shop's day goes on after the death, and is part of the seconds.\n"
    yield from table(["who", "points", "kills", "not met", "seconds to converge, median", "most"], rows)
    not_met = [point for note in notes.values() if is_kill(note) for point in note["not_met"]]
    if not_met:
        yield "Not met came about in the days before, and not when somebody was to die of it:\n"
        yield from (f"- {point}" for point in sorted(not_met))
        yield ""


def of_faults(notes):
    rows = [
        [name, number(note["seconds_to_converge"]), number(note.get("deliveries")), others(note)]
        for name, note in sorted(notes.items())
        if is_fault(note)
    ]
    if rows:
        yield "## Faults\n"
    yield from table(["fault", "seconds to converge", "deliveries meanwhile", ""], rows)


def of_stops(notes):
    rows = [
        [name, number(note["seconds_to_drain"]), number(note["seconds_to_converge"])]
        for name, note in sorted(notes.items())
        if is_stop(note)
    ]
    if rows:
        yield "## Stops\n"
    yield from table(["who", "seconds to drain", "seconds to converge"], rows)


def of_soaks(notes):
    for name, note in sorted(notes.items()):
        if "quarters" not in note:
            continue
        yield f"## {name.capitalize()}\n"
        rows = [
            [key.replace("_", " "), words(value)]
            for key, value in note.items()
            if key not in (*MARKS, "quarters", "lost", "closed_twice", "wrongly_removed")
        ]
        yield from table(["", "seen"], rows)
        yield "Medians of the second and of the last quarter; memory, tables and Redis in MB.\n"
        rows = [
            [one["measure"], one["of"], *(scaled(one["measure"], one[quarter]) for quarter in ("second", "last"))]
            for one in note["quarters"]
            if max(one["second"], one["last"]) > LEAST_SHOWN.get(one["measure"], 0)
        ]
        yield from table(["measure", "of", "second quarter", "last quarter"], rows)


def of_the_rest(notes):
    """Whatever else was noted, as it was."""
    rest = {
        name: note
        for name, note in notes.items()
        if not is_kill(note) and not is_fault(note) and not is_stop(note) and "quarters" not in note
    }
    if rest:
        yield "## More\n"
    yield from table(["what", "seen"], [[name, others(note)] for name, note in sorted(rest.items())])


KNOWN = {*MARKS, "seconds_to_converge", "deliveries", "lost", "closed_twice", "wrongly_removed"}


def others(note):
    return ", ".join(f"{key.replace('_', ' ')} {words(value)}" for key, value in note.items() if key not in KNOWN)


def words(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {words(one)}" for key, one in value.items())
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def scaled(measure, value):
    return number(value) if measure not in UNITS else f"{value / UNITS[measure]:.2f}"


def number(value):
    if value is None:
        return ""
    return f"{value:,.1f}" if isinstance(value, float) and value != int(value) else f"{int(value):,}"


def table(head, rows):
    if rows:
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)
        yield ""


@cache
def commit():
    """Of the code that is tested, by this process: what is committed meanwhile is not. With a + when it was changed."""
    try:
        hashed = _git("rev-parse", "--short", "HEAD").strip()
        return hashed + ("+" if _git("status", "--porcelain", "--untracked-files=no", ":!docs") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words):
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
