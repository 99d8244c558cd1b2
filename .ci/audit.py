"""Ask for known flaws of what requirements.lock installs, and say plainly what was asked and what was not.

`python .ci/audit.py` belongs to `make check`: a flaw fails it. Flaws are published after a release, so asking needs a
network; without one nothing was audited, which is said and fails nothing. With `--must-ask`, as in `make audit` and in
a nightly job, it fails as well.
"""

import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".run" / "audit"
LOCK = ROOT / ".ci" / "audit.lock"
SECONDS = 300


def main(*, must_ask: bool) -> int:
    sentence, status = judge(ask() if install() else None, must_ask=must_ask)
    sys.stderr.write(f"{sentence}\n")
    return status


def install() -> bool:
    """pip-audit, in an environment of its own: what it needs is nothing of ours."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = HOME / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    venv.create(HOME, with_pip=True, clear=True)
    pip = [str(HOME / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-qq"]
    done = run(*pip, "--require-hashes", "--requirement", str(LOCK))
    if done is None or done.returncode != 0:
        return False
    stamp.write_text(wanted)
    return True


def ask() -> dict[str, Any] | None:
    """pip-audit's report; None when there is none. Its exit status says the same for "no flaw" and "nothing asked"."""
    words = ("--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes", "--requirement")
    done = run(str(HOME / "bin" / "pip-audit"), *words, str(ROOT / "requirements.lock"))
    try:
        report: dict[str, Any] = json.loads(done.stdout if done else "")
    except ValueError:
        return None
    return report


def judge(report: dict[str, Any] | None, *, must_ask: bool) -> tuple[str, int]:
    """What to say, and the exit status."""
    packages = report["dependencies"] if report else []
    asked = [one for one in packages if "skip_reason" not in one]
    flaws = [f"  {one['name']} {one['version']}: {flaw(known)}" for one in asked for known in one["vulns"]]
    is_whole = bool(packages) and len(asked) == len(packages)
    said = []
    if not is_whole:
        many = f"{len(packages) - len(asked)} of {len(packages)} packages" if packages else "requirements.lock"
        said.append(
            f"NOT AUDITED for known flaws: {many}. No advisories were reached; run `make audit` where they are."
        )
    if flaws:
        said += ["Known flaws in requirements.lock:", *flaws]
    elif asked:
        said.append(f"Of {len(asked)} packages in requirements.lock no flaw is known.")
    return "\n".join(said), 1 if flaws or (must_ask and not is_whole) else 0


def flaw(known: dict[str, Any]) -> str:
    cured = ", ".join(known.get("fix_versions") or []) or "no version yet"
    return f"{known['id']}, cured in {cured}"


def run(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603  # no shell; ours
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    sys.exit(main(must_ask="--must-ask" in sys.argv))
