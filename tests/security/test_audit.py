"""The audit of what is installed never takes "nobody answered" for "nothing is wrong"."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOUND = {"name": "flask", "version": "3.1.3", "vulns": []}
FLAWED = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}]}
UNASKED = {"name": "orjson", "skip_reason": "Dependency not found on PyPI and could not be audited: orjson"}


@pytest.fixture(scope="module")
def judge():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.judge


@pytest.mark.parametrize(
    ("packages", "status", "status_if_it_must", "words"),
    [
        ([SOUND], 0, 0, "Of 1 packages in requirements.lock no flaw is known."),
        ([SOUND, UNASKED], 0, 1, "NOT AUDITED for known flaws: 1 of 2 packages."),
        ([UNASKED], 0, 1, "NOT AUDITED for known flaws: 1 of 1 packages."),
        (None, 0, 1, "NOT AUDITED for known flaws: requirements.lock."),
        ([FLAWED, UNASKED], 1, 1, "jinja2 3.1.2: PYSEC-1, cured in 3.1.6"),
    ],
)
def test_what_was_not_asked_about_is_never_called_audited(judge, packages, status, status_if_it_must, words):
    """As pip-audit tells it, which calls an answer without advisories "no known vulnerabilities" and ends with 0."""
    report = None if packages is None else {"dependencies": packages, "fixes": []}
    said, found = judge(report, must_ask=False)

    assert words in said
    assert (found, judge(report, must_ask=True)[1]) == (status, status_if_it_must)
    assert ("no flaw is known" in said) is (SOUND in (packages or []))


def test_make_check_holds_what_is_promised_of_it():
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]

    assert all(word in check for word in ("bandit", ".ci/audit.py", "tests/security/test_lock.py", "mypy", "ruff"))
