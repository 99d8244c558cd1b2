"""A shop has let us in: at its first install, when it comes back, or with a new token."""

import time

import redis

from adapters import inbox, runs, shops
from adapters.bell import LANES
from adapters.shops import Shop
from adapters.tokens import Grant
from app.office import Office


def installed(desk: Office, domain: str, access: Grant | str) -> Shop:
    """Keep what Shopify granted, or a custom app's lasting token, and set everything going that waited for it.

    Safe to repeat, and to do twice at once: the feeds of a shop that was active all along are not read anew for it.
    """
    with desk.db.begin() as db:
        if isinstance(access, str):
            comes_back = shops.add(db, desk.vault, domain, access)
        else:
            comes_back = shops.grant(db, desk.vault, domain, access)
        runs.open_feeds(db, domain, again=comes_back)
        inbox.hurry(db, domain)
        shop = shops.find(db, desk.vault, domain)
    if shop is None:
        raise LookupError(domain)  # it was written a moment ago, in the same transaction
    ring_for(desk, domain)
    return shop


def ring_for(desk: Office, domain: str) -> bool:
    """Serve the shop's mail at once. False without Redis: the sweep does it later."""
    try:
        for lane in LANES:
            desk.bell.ring(lane, {domain: time.time()})
    except redis.RedisError:
        return False
    return True
