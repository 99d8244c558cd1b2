"""The game day itself: every act does what it says, and nothing is left of it."""

import os
import subprocess
import sys

import pytest

from devstore.demo_stage import ROOT


@pytest.mark.long
@pytest.mark.timeout(600)
def test_after_an_outage_a_rotation_poison_and_a_bug_the_mirror_equals_the_store():
    environment = {name: value for name, value in os.environ.items() if name != "PORT"} | {"ONCE": "1"}
    command = [sys.executable, "-m", "devstore.gameday"]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 deliveries are dead; the mirror differs in 0 places. No run has helped." in done.stdout
    assert "The mirror equals the store." in done.stdout
