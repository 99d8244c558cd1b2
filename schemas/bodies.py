"""A product's delivery, read: whether Shopify's webhook brought its body, or a run of ours."""

from datetime import datetime

from domain.failures import Permanent
from domain.issues import Translation
from domain.records import Product, ProductMetafields
from schemas import nodes, webhooks

NOT_KEPT = "its body is no longer kept; replay it as a refresh from Shopify"


def read_product(
    topic: str, body: bytes | None, received_at: datetime
) -> tuple[Translation[Product], ProductMetafields | None]:
    """The product, and its metafields where the body carries them all.

    Raises Permanent when nothing can be made of it, with a sentence that quotes nothing.
    """
    if body is None:
        raise Permanent(NOT_KEPT)
    content = webhooks.read_body(body)
    if topic == "product/read":
        product = nodes.read_product_node(content, received_at)
        carried = nodes.read_product_node_metafields(content)
    else:
        product = webhooks.read_product(content, received_at)
        carried = webhooks.read_body_metafields(content)
    if product.record is None:
        raise Permanent("; ".join(issue.code for issue in product.issues) or "the body is not a product")
    return product, carried
