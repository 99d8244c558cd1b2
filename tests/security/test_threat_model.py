"""docs/security.md promises tests. They exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_each_test_that_the_threat_model_names_exists():
    named = NAMED.findall((ROOT / "docs/security.md").read_text())
    missing = [(path, name) for path, name in named if (name or path) not in names_in(path)]

    assert len(named) > 30
    assert missing == []


def test_each_threat_has_a_test():
    rows = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if line.count("|") == 4]
    threats = [line for line in rows if not line.startswith(("| threat", "|---"))]

    assert len(threats) > 25
    assert [line for line in threats if not NAMED.search(line)] == []


def names_in(path):
    """The file's own name and those of its tests; none when there is no such file."""
    if not (ROOT / path).exists():
        return set()
    body = ast.parse((ROOT / path).read_text()).body
    return {path, *(node.name for node in body if isinstance(node, ast.FunctionDef))}
