"""Make .venv in the current folder hold what a lock lists. Silent and quick when it does already.

`python3 .ci/install.py requirements.lock`, as the Makefile does. A file that is not the one whose hash was locked is
refused, wherever it came from. Kept readable for old Pythons, which get a sentence.
"""

import fcntl
import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

VENV = Path(".venv").absolute()


def main(lock: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  # this very sentence is what an old one must be able to say
        found = sys.version.split()[0]
        sys.exit(
            f"Python 3.11 or newer is needed, this is {found}. Another one is named with: make PYTHON=python3.12 …"
        )
    Path(".run").mkdir(exist_ok=True)
    with Path(".run/install.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # two may be started at once
        if not is_usable():
            create()
        install(Path(lock))


def is_usable() -> bool:
    """Neither missing, nor moved from where it was made, nor left by a Python that is gone."""
    pip = VENV / "bin" / "pip"
    if not pip.exists() or str(VENV).encode() not in pip.read_bytes()[:1000]:
        return False
    asked = "import sys; raise SystemExit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run([VENV / "bin" / "python", "-c", asked], check=False)  # noqa: S603  # no shell; ours
    except OSError:
        return False
    return done.returncode == 0


def create() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit("This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv")
    say("Making .venv")
    run(sys.executable, "-m", "venv", "--clear", str(VENV))


def install(lock: Path) -> None:
    wanted = hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted(Path().glob("requirements*.lock")))
    ).hexdigest()
    stamp = VENV / f".{lock.stem}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"Installing {lock} into .venv")
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    run(*pip, "install", "-qq", "--require-hashes", "--requirement", str(lock))
    stamp.write_text(wanted)


def say(what: str) -> None:
    sys.stderr.write(f"{what} …\n")


def run(*command: str) -> None:
    status = subprocess.run(command, check=False).returncode  # noqa: S603  # no shell, and each word is written above
    if status != 0:
        sys.exit(f"That did not work: `{' '.join(command)}` ended with {status}.")


if __name__ == "__main__":
    main(sys.argv[1])
