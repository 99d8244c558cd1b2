"""A real Chromium for the tests: the system's, or Playwright's, fetched when this machine has neither."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MACS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PATIENCE = 600  # seconds for a download


class NoBrowserError(Exception):
    """There is none and none could be fetched; the text says what to do."""


def chromium() -> str | None:
    """The path of the system's, or None: then Playwright has one of its own. Raises NoBrowserError."""
    return _systems() or _fetched()


def _systems() -> str | None:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or (str(MACS) if MACS.exists() else None)


def _fetched() -> str | None:
    """Playwright's comes without root, from a host that not every network reaches; Debian's is the other way round."""
    playwright = [sys.executable, "-m", "playwright", "install", "chromium-headless-shell"]
    if _run(playwright):
        return None
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"])
        if path := _systems():
            return path
    raise NoBrowserError("The pages are tested in a real Chromium: install the package chromium and run this again.")


def _run(command: list[str]) -> bool:
    try:
        done = subprocess.run(  # noqa: S603  # fixed words
            command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
