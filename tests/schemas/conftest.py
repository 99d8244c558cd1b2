from pathlib import Path

import pytest

PAYLOADS = Path(__file__).parent.parent / "payloads"


@pytest.fixture
def payload():
    """The bytes as they would arrive."""
    return lambda name: (PAYLOADS / name).read_bytes()
