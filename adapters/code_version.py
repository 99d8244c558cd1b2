"""Which code this process runs: the commit of the checkout, or the version of the project where there is none."""

import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def code_version(root: Path = ROOT) -> str:
    """Twelve digits of a commit, or `0.1.0`. Read from files once a process: `git` itself may not be installed."""
    return _commit(root / ".git") or str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def _commit(git: Path) -> str | None:
    """None where this is no checkout, or one of a kind (a worktree) that keeps its head elsewhere."""
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:12]
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.exists():
            return loose.read_text().strip()[:12]
        packed = (line.split(" ", 1) for line in (git / "packed-refs").read_text().splitlines())
        return next((parts[0][:12] for parts in packed if parts[-1] == name), None)
    except OSError:
        return None
