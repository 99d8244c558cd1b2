"""What the clock's duties cost with so many shops, and what Redis holds for them."""

import time
from collections.abc import Sequence

from adapters import bell as bells
from adapters import runs
from adapters.bell import Bell
from adapters.budget import Budget
from bench import crowd
from bench.crowd import Amount
from bench.expense import Meter
from bench.scale import Crowd, Figures, Place
from settings import read_settings
from workers.timetable import DUTIES
from workers.workshop import Workshop, open_workshop

TIMES = 10  # a duty is done, for its CPU is counted in hundredths of a second
CLAIMS = 200
TAKES = 1_000


def clock(standing: Place, shops: Sequence[int]) -> Figures:
    """By number of shops: what each duty costs once, what all of them cost a minute, and what the due runs cost."""
    found = {}
    for count in shops:
        name = f"clock {count}"
        among = standing.create(name, Amount(shops=count, products=count, members=count // 10, runs=2, hours=2))
        workshop = open_workshop(read_settings(standing.told(among.url)))
        try:
            with among.db:
                found[str(count)] = _clock(standing, among, workshop)
        finally:
            workshop.db.dispose()
            workshop.admin.close()
            workshop.tokens.close()
    return found


def _clock(standing: Place, among: Crowd, workshop: Workshop) -> Figures:
    standing.redis.flushall()
    _tell_budgets(standing, among.amount.shops)
    meter, duties = Meter(among.db, standing.redis), {}
    minute = {"cpu_ms": 0.0, "blocks": 0.0}
    for duty in DUTIES:
        standing.note(f"scale: the clock with {among.amount.shops:,} shops", duty.name)
        duty.do(workshop)
        before, own = meter.read(), time.process_time()
        for _ in range(TIMES):
            duty.do(workshop)
        own = time.process_time() - own
        spent = meter.read() - before
        cpu = (own + spent.cpu.get("postgres", 0.0)) * 1000 / TIMES
        duties[duty.name] = {"every": duty.every, "cpu_ms": round(cpu, 2), "blocks": round(spent.blocks / TIMES)}
        minute["cpu_ms"] += cpu * 60 / duty.every
        minute["blocks"] += spent.blocks / TIMES * 60 / duty.every
    return {
        "duties": duties,
        "minute": {name: round(cost) for name, cost in minute.items()},
        **_due(meter, among, workshop),
    }


def _due(meter: Meter, among: Crowd, workshop: Workshop) -> Figures:
    """All feeds are due: a second's worth of them is started, and steps of them are claimed."""
    among.db.execute("UPDATE feeds SET next_run_at = now() - random() * interval '10 minutes'")
    among.db.execute("VACUUM ANALYZE feeds")
    before, own = meter.read(), time.process_time()
    with workshop.db.begin() as db:
        due = runs.take_due(db, 600, 86_400)
        runs.start_taken(db, due)
    own = time.process_time() - own
    started = meter.read() - before
    before = meter.read()
    claims = min(CLAIMS, len(due))
    for _ in range(claims):
        with workshop.db.begin() as db:
            runs.claim(db)
    claimed = meter.read() - before
    cpu = (own + started.cpu.get("postgres", 0.0)) * 1000 / len(due)
    return {
        "started": {"runs": len(due), "cpu_ms": round(cpu, 3), "blocks": round(started.blocks / len(due), 1)},
        "claimed": {"claims": claims, "blocks": round(claimed.blocks / claims, 1)},
    }


def bell(standing: Place, shops: int) -> Figures:
    """So many shops have mail in both lanes, and have told what is left of their points."""
    standing.note(f"scale: the bell with {shops:,} shops")
    client = standing.redis
    client.flushall()
    empty = client.info("memory")["used_memory"]
    names = [crowd.shop(n) for n in range(shops)]
    one = Bell(client)
    for lane in bells.LANES:
        one.ring(lane, {name: time.time() - n for n, name in enumerate(names)})
    rung = client.info("memory")["used_memory"]
    _tell_budgets(standing, shops)
    told = client.info("memory")["used_memory"]
    client.config_resetstat()
    takes = min(TAKES, shops)
    for _ in range(takes):
        turn = one.take("live", "bench")
        assert turn is not None
        one.give_back("live", turn)
    scripts = client.info("commandstats")["cmdstat_evalsha"]
    client.flushall()
    return {
        "shops": shops,
        "bytes_a_shop_with_mail": round((rung - empty) / shops),
        "bytes_a_budget": round((told - rung) / shops),
        "microseconds_a_turn": round(2 * scripts["usec_per_call"], 1),
    }


def _tell_budgets(standing: Place, shops: int) -> None:
    """Each shop has lately been asked something."""
    budget = Budget(standing.redis)
    for n in range(shops):
        budget.report(crowd.shop(n), {"currentlyAvailable": 1_900, "maximumAvailable": 2_000, "restoreRate": 100})
