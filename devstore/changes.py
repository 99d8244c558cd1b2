"""Changes by name, as the control side orders them, and changes at random, as a live shop makes them."""

import random
from collections.abc import Callable
from typing import Any

from devstore import notices
from devstore.generate import invented_customer, invented_product, variant_metafields
from devstore.records import MetafieldWish, number_of
from devstore.shop import Happenings
from devstore.tenant import Tenant

Wishes = dict[str, Any]
Change = Callable[[Tenant, Wishes], Happenings]


def apply(tenant: Tenant, kind: str, wishes: Wishes) -> Happenings:
    """What it fired. `id` is a number or gid; left out, any is taken. KeyError when there is no such thing."""
    if kind not in CHANGES:
        raise ValueError(f"A change is one of {', '.join(CHANGES)}.")
    with tenant.shop.lock:
        return CHANGES[kind](tenant, dict(wishes))


def apply_random(tenant: Tenant, count: int) -> list[tuple[str, Happenings]]:
    """`count` changes of all kinds, in the proportions of a shop at work. The shop's seed decides which."""
    names, weights = zip(*RANDOM.items(), strict=True)
    with tenant.shop.lock:
        return [(kind, _RANDOM_CHANGES[kind](tenant)) for kind in tenant.rng.choices(names, weights, k=count)]


# -- by name


def _create_product(tenant: Tenant, wishes: Wishes) -> Happenings:
    invented = invented_product(tenant.rng, tenant.rng.randrange(10_000, 99_999), wishes.pop("variant_count", 2))
    return tenant.shop.create_product(**(invented | wishes))


def _edit_product(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.edit_product(_product(tenant, wishes), **wishes)


def _edit_variant(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.edit_variant(_variant(tenant, wishes), **wishes)


def _add_variants(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.add_variants(_product(tenant, wishes), wishes["variants"])


def _remove_variant(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.remove_variant(_variant(tenant, wishes))


def _order(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.order(_variant(tenant, wishes), wishes.get("quantity", 1))


def _edit_variant_metafield(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.edit_variant_metafield(_variant(tenant, wishes), MetafieldWish(**wishes))


def _edit_product_metafield(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.edit_product_metafield(_product(tenant, wishes), MetafieldWish(**wishes))


def _delete_product(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.delete_product(_product(tenant, wishes))


def _create_customer(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.create_customer(**(invented_customer(tenant.rng, tenant.rng.randrange(10**6)) | wishes))


def _edit_customer(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.edit_customer(_customer(tenant, wishes), **wishes)


def _tag_customer(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.tag_customer(_customer(tenant, wishes), *wishes["tags"])


def _untag_customer(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.untag_customer(_customer(tenant, wishes), *wishes["tags"])


def _edit_customer_metafield(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.edit_customer_metafield(_customer(tenant, wishes), MetafieldWish(**wishes))


def _merge_customers(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.merge_customers(
        _customer(tenant, {"id": wishes["id"]}), _customer(tenant, {"id": wishes["into"]})
    )


def _delete_customer(tenant: Tenant, wishes: Wishes) -> Happenings:
    return tenant.shop.delete_customer(_customer(tenant, wishes))


def _uninstall(tenant: Tenant, _wishes: Wishes) -> Happenings:
    """Every token dies at once."""
    tenant.tokens.revoke()
    tenant.shop.installed = False
    with tenant.lock:
        tenant.subscriptions.clear()
    return (notices.app_uninstalled(tenant.shop),)


def _scopes(tenant: Tenant, wishes: Wishes) -> Happenings:
    previous, tenant.tokens.scopes = tenant.tokens.scopes, tuple(wishes["scopes"])
    return (notices.app_scopes_update(tenant.shop, list(previous), wishes["scopes"]),)


def _compliance(topic: str) -> Change:
    def change(tenant: Tenant, wishes: Wishes) -> Happenings:
        customer = number_of(wishes["id"]) if "id" in wishes else None
        return (notices.compliance(tenant.shop, topic, customer),)

    return change


CHANGES: dict[str, Change] = {
    "create_product": _create_product,
    "edit_product": _edit_product,
    "edit_variant": _edit_variant,
    "add_variants": _add_variants,
    "remove_variant": _remove_variant,
    "order": _order,
    "edit_variant_metafield": _edit_variant_metafield,
    "edit_product_metafield": _edit_product_metafield,
    "delete_product": _delete_product,
    "create_customer": _create_customer,
    "edit_customer": _edit_customer,
    "tag_customer": _tag_customer,
    "untag_customer": _untag_customer,
    "edit_customer_metafield": _edit_customer_metafield,
    "delete_customer": _delete_customer,
    "merge_customers": _merge_customers,
    "update_scopes": _scopes,
    "uninstall": _uninstall,
    "customers/data_request": _compliance("customers/data_request"),
    "customers/redact": _compliance("customers/redact"),
    "shop/redact": _compliance("shop/redact"),
}

# -- at random

RANDOM = {
    "order": 28,
    "price": 16,
    "title": 8,
    "edit_variant_metafield": 12,
    "create_product": 5,
    "delete_product": 3,
    "edit_customer": 10,
    "tag_customer": 6,
    "untag_customer": 4,
    "edit_customer_metafield": 4,
    "create_customer": 3,
    "delete_customer": 1,
}


def _random_price(tenant: Tenant) -> Happenings:
    price = f"{tenant.rng.randrange(100, 99_999) / 100:.2f}"
    return apply(tenant, "edit_variant", {"price": price}) if tenant.shop.products.truth else ()


def _random_title(tenant: Tenant) -> Happenings:
    if not tenant.shop.products.truth:
        return ()
    number = _product(tenant, {})
    title = tenant.shop.products.truth[number].title.split(" · ")[0]
    return tenant.shop.edit_product(number, title=f"{title} · {tenant.rng.randrange(1_000)}")


def _random_variant_metafield(tenant: Tenant) -> Happenings:
    if not tenant.shop.products.truth:
        return ()
    given = tenant.rng.choice(variant_metafields(tenant.rng, sure=True))
    return apply(tenant, "edit_variant_metafield", given)


def _random_tag(tenant: Tenant) -> Happenings:
    tags = [tenant.rng.choice(("b2b", "b2b", "B2B ", "b2b-vip", "newsletter"))]
    return apply(tenant, "tag_customer", {"tags": tags}) if tenant.shop.customers.truth else ()


def _random_untag(tenant: Tenant) -> Happenings:
    tagged = [c for c in tenant.shop.customers.truth.values() if c.tags]
    if not tagged:
        return ()
    customer = tenant.rng.choice(tagged)
    return tenant.shop.untag_customer(customer.number, tenant.rng.choice(customer.tags))


def _random_customer(tenant: Tenant) -> Happenings:
    name = tenant.rng.choice(("Ada", "Bo", "Cleo", "Dov", "Eve"))
    wishes = {"first_name": name, "note": f"note {tenant.rng.randrange(99)}"}
    return apply(tenant, "edit_customer", wishes) if tenant.shop.customers.truth else ()


def _random_customer_metafield(tenant: Tenant) -> Happenings:
    value = tenant.rng.choice(("trade", "gold", "silver", None))
    wishes = {"key": "group", "value": value}
    return apply(tenant, "edit_customer_metafield", wishes) if tenant.shop.customers.truth else ()


def _if_any(kind: str, things: str) -> Callable[[Tenant], Happenings]:
    def change(tenant: Tenant) -> Happenings:
        table = getattr(tenant.shop, things)
        return apply(tenant, kind, {}) if len(table.truth) > 1 else ()

    return change


_RANDOM_CHANGES: dict[str, Callable[[Tenant], Happenings]] = {
    "order": _if_any("order", "products"),
    "price": _random_price,
    "title": _random_title,
    "edit_variant_metafield": _random_variant_metafield,
    "create_product": lambda tenant: apply(tenant, "create_product", {}),
    "delete_product": _if_any("delete_product", "products"),
    "edit_customer": _random_customer,
    "tag_customer": _random_tag,
    "untag_customer": _random_untag,
    "edit_customer_metafield": _random_customer_metafield,
    "create_customer": lambda tenant: apply(tenant, "create_customer", {}),
    "delete_customer": _if_any("delete_customer", "customers"),
}


def _product(tenant: Tenant, wishes: Wishes) -> int:
    return _named_or_any(wishes, tenant.shop.products.truth, tenant.rng)


def _variant(tenant: Tenant, wishes: Wishes) -> int:
    """By `id`, or any variant of the product `product_id`, or any at all."""
    if "product_id" in wishes:
        product = tenant.shop.products.truth[number_of(wishes.pop("product_id"))]
        return tenant.rng.choice(product.variants).number
    return _named_or_any(wishes, tenant.shop.homes, tenant.rng)


def _customer(tenant: Tenant, wishes: Wishes) -> int:
    return _named_or_any(wishes, tenant.shop.customers.truth, tenant.rng)


def _named_or_any(wishes: Wishes, known: dict[int, Any], rng: random.Random) -> int:
    if "id" not in wishes:
        return rng.choice(list(known))
    number = number_of(wishes.pop("id"))
    if number not in known:
        raise KeyError(f"There is no {number} here.")
    return number
