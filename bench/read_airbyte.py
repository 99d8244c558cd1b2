"""`python read_airbyte.py FILE HOMES`: the record producer of airbyte-source-shopify on a bulk file of products.

Runs in a virtual environment of its own; imports nothing of this checkout.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from source_shopify.shopify_graphql.bulk.query import Product
from source_shopify.shopify_graphql.bulk.record import ShopifyBulkRecord


def main(path: str, homes: str) -> None:
    """Prints the same as `read_ours`."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    records = sum(1 for _ in _records(path))
    seconds = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    home = json.loads(Path(homes).read_text())  # large: only now, when memory has been measured
    at_home = [home[variant] == record for record, variants in _records(path) for variant in variants]
    told = {"records": records, "variants": len(at_home), "misplaced": at_home.count(False)}
    print(json.dumps(told | {"seconds": round(seconds, 2), "grown_mib": round(grown / 1024, 1)}))


def _records(path: str) -> Iterator[tuple[str, list[str]]]:
    """Each product's gid with those of its variants."""
    for record in ShopifyBulkRecord(Product({})).produce_records(path):
        variants = [f"gid://shopify/ProductVariant/{variant['id']}" for variant in record["variants"]]
        yield record["admin_graphql_api_id"], variants


if __name__ == "__main__":
    main(*sys.argv[1:])
