"""docs/capacity.md, written from what `bench --only scale` has measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.capacity import (
    FEEDS,
    GIB,
    MIB,
    Habits,
    Milliseconds,
    Needs,
    Prices,
    Shop,
    limits,
    needs,
)

Figures = Mapping[str, Any]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "capacity.md"
SIZES = {
    "small": Shop(products=100, members=50, bystanders=1_000, product_webhooks=50, customer_webhooks=20),
    "medium": Shop(products=1_000, members=300, bystanders=10_000, product_webhooks=400, customer_webhooks=150),
    "large": Shop(products=50_000, members=5_000, bystanders=200_000, product_webhooks=10_000, customer_webhooks=3_000),
}
SHOPS = (10, 100, 1_000, 10_000, 100_000)
HOURLY, DAILY = Habits(), Habits(complete_runs=1.0)


def prices(found: Figures) -> Prices:
    """What the model reckons with, out of a measurement."""
    alone = list(found["deliveries"].values())[1]  # among many shops each delivery is the only one of its turn
    runs, storage, bell = found["runs"], found["storage"], found["bell"]
    clocks = sorted((int(shops), of) for shops, of in found["clock"].items())
    (few, cheap), (many, dear) = clocks[0], clocks[-1]
    each = max(0.0, (dear["minute"]["cpu_ms"] - cheap["minute"]["cpu_ms"]) / (many - few))
    return Prices(
        changed=_working(alone["changed"]["cpu_ms"]),
        unchanged=_working(alone["unchanged"]["cpu_ms"]),
        customer=_working(runs["customer_webhook"]["cpu_ms"]),
        quiet_run=_working(runs["quiet_run"]["cpu_ms"]),
        read_record=_working(runs["complete_run_a_record"]["cpu_ms"]),
        clock_minute=max(0.0, cheap["minute"]["cpu_ms"] - few * each),
        clock_minute_shop=each,
        started_run=dear["started"]["cpu_ms"],
        wal_changed=alone["changed"]["wal_bytes"],
        wal_unchanged=alone["unchanged"]["wal_bytes"],
        wal_customer=runs["customer_webhook"]["wal_bytes"],
        wal_quiet_run=runs["quiet_run"]["wal_bytes"],
        delivery_bytes=_bytes(storage["deliveries"]),
        product_bytes=_bytes(storage["products"]) + 5 * _bytes(storage["variants"]),
        member_bytes=_bytes(storage["members"]),
        bystander_bytes=_bytes(storage["bystanders"]),
        run_bytes=_bytes(storage["runs"]),
        redis_shop_bytes=bell["bytes_a_shop_with_mail"] + bell["bytes_a_budget"],
        quiet_run_points=runs["quiet_run"]["points"],
        quiet_run_points_reserved=runs["quiet_run"]["points_reserved"],
        read_record_points=runs["complete_run_a_record"]["points"],
    )


def _working(cpu: Milliseconds) -> Milliseconds:
    """The clock ticks whether anything arrives or not: it is reckoned by itself."""
    return {role: cost for role, cost in cpu.items() if role != "clock"}


def _bytes(row: Mapping[str, float]) -> float:
    return row["table"] + row["indexes"]


def write(found: Figures, where: Figures, path: Path) -> None:
    machine = f"{where['system']}, {where['cores']} cores"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page(found, f"{datetime.now(UTC):%Y-%m-%d}", machine))


def page(found: Figures, at: str, machine: str) -> str:
    price = prices(found)
    parts = (
        _OPENING.format(at=at, machine=machine),
        *_flatness(found["deliveries"]),
        *_workers(found["workers"]),
        *_clock(found["clock"]),
        *_prices(price),
        *_model(),
        *_examples(price),
        *_firsts(price),
        *_budget(price),
        _LIMITS,
    )
    return "\n".join(parts).rstrip() + "\n"


_OPENING = """# Capacity

What so many shops of such a size need, and what ends first. Written by `.venv/bin/python -m bench --only scale` from
what it measured on {at} on {machine}; nothing in it is guessed but what stands under *Habits*.

CPU is what the kernel charged each process (user and system), so another program on the machine changes it little.
Pages and WAL are counted by Postgres. The generated rows are those that the product would have written
([`bench/crowd.py`](../bench/crowd.py)); the webhooks come signed through the front door."""


def _flatness(of: Figures) -> Iterator[str]:
    yield "\n## What a delivery costs stays the same\n"
    yield (
        "`products/update` with five variants; *changed* writes the mirror, *unchanged* only moves the version.\n"
        "Medians of rounds in turn; what idle processes cost by themselves is taken off. Milliseconds of CPU a\n"
        "delivery, and what Postgres and Redis did for it.\n"
    )
    for kind in ("changed", "unchanged"):
        header = ("among", "web", "live", "Postgres", "Redis", "pages", "WAL, bytes", "statements", "Redis commands")
        rows = [(_named(name), *_delivery(ground[kind])) for name, ground in of.items()]
        yield from _table((f"**{kind}**: {header[0]}", *header[1:]), rows)
        yield ""
    yield (
        "Among 1,000 shops the same number of deliveries a second costs more, and not because there are more shops:\n"
        "each of them gets one delivery and so a turn of its own, while ten shops get a hundred each, which are\n"
        "taken together. The model below reckons with the dearer of the two. A backlog is cheaper: see the next\n"
        "table, where the same 1,000 shops have several deliveries each.\n"
        "\n"
        "WAL is dearest where each delivery meets other pages than the one before it: the first change of a page\n"
        "after a checkpoint is written with the whole page, and each of these rounds begins with a checkpoint.\n"
    )
    grown = [f"{_named(name)} {_memory(ground['memory_mib'])}" for name, ground in of.items()]
    yield f"Resident MiB of web · live · bulk · clock after the first round → after the last: {'; '.join(grown)}."


def _named(ground: str) -> str:
    return "10 shops, 1,000 products, an empty inbox" if ground == "small" else ground


def _delivery(of: Figures) -> Iterator[str]:
    for role in ("web", "live", "postgres", "redis"):
        yield f"{of['cpu_ms'].get(role, 0.0):.2f}"
    yield f"{of['blocks']:,.0f}"
    yield f"{of['wal_bytes']:,.0f}"
    yield f"{of['statements']:.2f}"
    yield f"{of['redis_commands']:.2f}"


def _memory(rounds: Sequence[Mapping[str, float]]) -> str:
    first, last = rounds[0], rounds[-1]
    return " · ".join(f"{first[role]:.0f} → {last[role]:.0f}" for role in ("web", "live", "bulk", "clock"))


def _workers(of: Figures) -> Iterator[str]:
    yield "\n## More worker processes\n"
    yield (
        "A full inbox (new products of many shops, stored beforehand) is decided by so many live workers. Two\n"
        "cores are shared by the workers and Postgres: the CPU of a delivery shows that workers do not get into\n"
        "each other's way; the rate cannot rise any further once both cores are busy, and says no more than that.\n"
    )
    rows = [
        (count, f"{one['per_second']:,.0f}", *(f"{one['cpu_ms'].get(role, 0):.2f}" for role in ("live", "postgres")))
        for count, one in of.items()
    ]
    yield from _table(("live workers", "decided a second", "live, ms a delivery", "Postgres, ms a delivery"), rows)


def _clock(of: Figures) -> Iterator[str]:
    yield "\n## The clock\n"
    yield (
        "Milliseconds of CPU (the clock's and Postgres') that each duty takes once, by the number of shops, and\n"
        "what all of them take in a minute.\n"
    )
    names = list(next(iter(of.values()))["duties"])
    header = ("duty", "every", *(f"{int(shops):,} shops" for shops in of))
    rows: list[tuple[str, ...]] = []
    for name in names:
        every = next(iter(of.values()))["duties"][name]["every"]
        rows.append((name, f"{every:g} s", *(f"{one['duties'][name]['cpu_ms']:,.1f}" for one in of.values())))
    rows.append(("**all, a minute**", "", *(f"{one['minute']['cpu_ms']:,.0f}" for one in of.values())))
    rows.append(("a run that is due, started", "", *(f"{one['started']['cpu_ms']:.2f}" for one in of.values())))
    rows.append(("pages to claim a run's step", "", *(f"{one['claimed']['blocks']:,.0f}" for one in of.values())))
    yield from _table(header, rows)


def _prices(price: Prices) -> Iterator[str]:
    yield "\n## Prices\n"
    yield "Milliseconds of CPU, of which the formulas below make cores.\n"
    names = {
        "changed": "a product webhook that changes something, alone in its turn",
        "unchanged": "one that does not, alone in its turn",
        "customer": "a customer's webhook, with its fetch",
        "quiet_run": "an incremental run that finds nothing",
        "read_record": "a record read by a complete run, unchanged",
    }
    roles = ("web", "live", "bulk", "postgres", "redis")
    rows = [
        (f"`{name}`: {words}", *(f"{getattr(price, name).get(role, 0.0):.2f}" for role in roles))
        for name, words in names.items()
    ]
    yield from _table(("", *roles), rows)
    others = [field.name for field in fields(Prices) if field.name not in names]
    yield ""
    yield from _table(("the rest", ""), [(f"`{name}`", f"{getattr(price, name):,.4g}") for name in others])
    yield (
        "\nBytes are of a row with its indexes (a product with its five variants, a delivery with its body of 5\n"
        "kB), `wal_…` are bytes of WAL, `…_points` Shopify's, `clock_…` and `started_run` milliseconds."
    )


def _model() -> Iterator[str]:
    yield """
## Formulas

```
at the peak   product webhooks/s = shops · product_webhooks / 86,400 · peak, of which `changed` are new to the mirror
              customer webhooks/s = shops · customer_webhooks / 86,400 · peak
all day       runs/s = shops · 2 · quiet_runs / 86,400
              records read/s = shops · (products + members + bystanders) · complete_runs / 86,400
cores(role)   = Σ often/s · price(role) / 1,000           clock: + (clock_minute + shops · clock_minute_shop) / 60,000
processes     = cores / 0.6, rounded up                    connections = 7 · web + 2 · (live + bulk + clock)
inbox         = webhooks a day · kept_days · delivery_bytes
mirror        = products · product_bytes + members · member_bytes + bystanders · bystander_bytes
runs          = shops · 2 · quiet_runs · 90 days · run_bytes        Redis = shops · redis_shop_bytes
```

[`bench/capacity.py`](../bench/capacity.py) is these lines; `needs(Shop(…), shops, prices, Habits(…))` answers for any.

### Habits

Not measured. Replace them by your own."""
    yield ""
    habit = HOURLY
    yield from _table(("", ""), [(f"`{field.name}`", f"{getattr(habit, field.name):g}") for field in fields(Habits)])
    yield ""
    sizes = ((name, *(f"{getattr(shop, field.name):,}" for field in fields(Shop))) for name, shop in SIZES.items())
    yield from _table(("a shop", *(field.name for field in fields(Shop))), sizes)


def _examples(price: Prices) -> Iterator[str]:
    yield "\n## Worked examples\n"
    yield (
        "Cores that are busy at the peak. *Hourly* and *daily*: how often each feed is read completely\n"
        "(`COMPLETE_RUN_SECONDS`), which is most of the work wherever shops have many customers.\n"
    )
    header = (
        *("shops", "of size", "complete", "webhooks/s", "runs/s", "web", "live", "bulk", "clock", "Postgres", "Redis"),
        *("connections", "WAL, MiB/s", "inbox", "mirror", "runs", "Redis' memory"),
    )
    rows = []
    for size, shop in SIZES.items():
        for shops in SHOPS:
            for word, habit in (("hourly", HOURLY), ("daily", DAILY)):
                rows.append((f"{shops:,}", size, word, *_needed(needs(shop, shops, price, habit))))
    yield from _table(header, rows)


def _needed(need: Needs) -> Iterator[str]:
    yield f"{need.deliveries_per_second:,.1f}"
    yield f"{need.runs_per_second:,.1f}"
    for role in ("web", "live", "bulk", "clock", "postgres", "redis"):
        yield f"{need.cores[role]:,.2f}"
    yield f"{need.connections:,}"
    yield f"{need.wal_per_second / MIB:,.2f}"
    for size in (need.inbox_bytes, need.mirror_bytes, need.runs_bytes, need.redis_bytes):
        yield _size(size)


def _size(size: float) -> str:
    for unit, name in ((1024 * GIB, "TiB"), (GIB, "GiB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size / MIB:,.0f} MiB" if size >= 10 * MIB else f"{size / MIB:,.1f} MiB"


def _firsts(price: Prices) -> Iterator[str]:
    yield "\n## What ends first\n"
    yield "Of medium shops, read completely once a day: what is used most of, as a share of one, and what helps.\n"
    rows = [
        (f"{shops:,}", limit.what, f"{limit.share:,.2f}", limit.then if limit.share > 1 else "nothing yet")
        for shops in SHOPS
        for limit in limits(needs(SIZES["medium"], shops, price, DAILY), DAILY)[:4]
    ]
    yield from _table(("shops", "", "used", "then"), rows)


def _budget(price: Prices) -> Iterator[str]:
    day, second = FEEDS * HOURLY.quiet_runs * price.quiet_run_points, 86_400
    yield "\n## Shopify's budget\n"
    yield (
        f"An incremental run uses {price.quiet_run_points:.1f} points, while {price.quiet_run_points_reserved:,.0f}\n"
        "must be there for its queries; a complete one, page by page, uses\n"
        f"{price.read_record_points:.1f} a record (a bulk operation, above 5,000 records, some ten in all).\n"
        f"A day of quiet runs of a shop uses {day:,.0f} points of the {100 * second:,} that a bucket of 100 a second\n"
        f"gives: {day / second:.2f} %. The pretend Shopify charges nothing for an empty page. Each shop has a budget\n"
        "of its own, so their number does not matter."
    )


_LIMITS = """
## What this cannot say

Two cores carry workers, Postgres, Redis and the load generator at once. CPU, pages, WAL and bytes are true of any
machine of that kind; how far a Postgres of 32 cores scales, how locks behave under a hundred workers, and how a network
in between and a disk whose pages do not fit into memory behave was not measured. What is said of one Postgres assumes
that it does on each of its cores what it does on one here.

Where it ends: web, live and bulk processes are added one by one, on any machine. Lookups and the console can read from
a replica. The inbox is not partitioned by day, for `(shop, webhook id)` must be unique over all of it
([decisions](decisions.md)); by shop it can be, and so can every other table, since each key begins with the shop: hash
partitions first, then Citus or several installations, each with its own shops."""


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    columns = list(header)
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---' if not n else '---:' for n in range(len(columns)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
