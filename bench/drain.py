"""A full inbox, decided by one live worker or several."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import create_engine

from adapters import inbox
from adapters.bell import Bell
from adapters.inbox import Arrival
from bench import crowd, mail
from bench.expense import Meter
from bench.scale import Crowd, Figures, Place, await_none
from bench.stage import procfile
from devstore.bodies import encode

SETTLES = 3.0  # seconds until all workers have imported everything and wait
AT_ONCE = 500
SHARE = 0.8  # the first and the last tenth are left out: not all workers are awake then
_new = iter(range(2_000_000, 10_000_000))  # numbers of products that no crowd has


def drain(standing: Place, among: Crowd, workers: int, count: int) -> Figures:
    """New products of many shops, all stored before anybody looks."""
    standing.note(f"scale: {workers} live workers")
    standing.redis.flushall()
    told = standing.told(among.url) | {"FORMATION": f"live={workers}"}
    with procfile(standing.folder, told, standing.note):
        time.sleep(SETTLES)
        shops, first = _store(among, count)
        among.db.execute("CHECKPOINT")
        meter = Meter(among.db, standing.redis)
        before = meter.read()
        Bell(standing.redis).ring("live", dict.fromkeys(shops, time.time()))
        await_none(among.db, "SELECT count(*) FROM deliveries WHERE lane = 'live' AND state = 'waiting'")
        spent = meter.read() - before
    return {"per_second": round(_rate(among, first, count), 1), **spent.each(count)}


def _store(among: Crowd, count: int) -> tuple[set[str], int]:
    """In one transaction. The shops, and the id after which they come."""
    engine = create_engine(among.url.replace("postgresql:", "postgresql+psycopg:"))
    row = among.db.execute("SELECT coalesce(max(id), 0) FROM deliveries").fetchone()
    shops = set()
    with engine.begin() as db:
        for _ in range(0, count, AT_ONCE):
            arrivals = [_arrival(among, next(_new)) for _ in range(min(AT_ONCE, count))]
            shops |= {arrival.shop for arrival in arrivals}
            inbox.store(db, arrivals)
    engine.dispose()
    return shops, row[0] if row else 0


def _arrival(among: Crowd, n: int) -> Arrival:
    now = datetime.now(UTC)
    about: dict[str, Any] = {"feed": "products", "resource_id": mail.product_id(n), "changed_at": mail.CHANGED_AT}
    shop = crowd.shop(n % among.amount.shops)
    return Arrival(
        shop,
        str(uuid.uuid4()),
        "products/update",
        triggered_at=now,
        received_at=now,
        body=encode(mail.product(n)),
        **about,
    )


def _rate(among: Crowd, first: int, count: int) -> float:
    """Decided a second, between the first tenth and the last."""
    statement = """
        SELECT extract(epoch FROM percentile_disc(0.9) WITHIN GROUP (ORDER BY closed_at)
                                - percentile_disc(0.1) WITHIN GROUP (ORDER BY closed_at))::float8
        FROM deliveries WHERE id > %s AND lane = 'live'
    """
    row = among.db.execute(statement, (first,)).fetchone()
    return SHARE * count / max(row[0] if row else 0.0, 0.001)
