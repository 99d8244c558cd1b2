"""What so many shops of such a size need: arithmetic on measured prices, nothing else. docs/capacity.md shows it."""

from collections.abc import Mapping
from dataclasses import dataclass

DAY = 86_400
MIB, GIB = 1024**2, 1024**3
ROLES = ("web", "live", "bulk", "clock", "postgres", "redis")
FEEDS = 2
Milliseconds = Mapping[str, float]  # of CPU, by role


@dataclass(frozen=True, slots=True)
class Shop:
    """A size. `product_webhooks` a day: edits, and one for each product of each order."""

    products: int
    members: int
    bystanders: int
    product_webhooks: float
    customer_webhooks: float


@dataclass(frozen=True, slots=True)
class Prices:
    """All of it measured. `clock_minute` is of a clock without shops, `clock_minute_shop` what each shop adds to it."""

    changed: Milliseconds
    unchanged: Milliseconds
    customer: Milliseconds
    quiet_run: Milliseconds
    read_record: Milliseconds
    clock_minute: float
    clock_minute_shop: float
    started_run: float
    wal_changed: float
    wal_unchanged: float
    wal_customer: float
    wal_quiet_run: float
    delivery_bytes: float
    product_bytes: float
    member_bytes: float
    bystander_bytes: float
    run_bytes: float
    redis_shop_bytes: float
    quiet_run_points: float
    quiet_run_points_reserved: float
    read_record_points: float


@dataclass(frozen=True, slots=True)
class Habits:
    """Not measured: how shops behave, how the app is set, and how full a core may be."""

    peak: float = 5.0  # the busiest minute over the mean of the day
    changed: float = 0.5  # of products' webhooks: what they tell is new to the mirror
    quiet_runs: float = 144.0  # of each feed a day: RECONCILE_SECONDS is 600
    complete_runs: float = 24.0  # of each feed a day: COMPLETE_RUN_SECONDS is 3,600
    kept_days: float = 30.0  # deliveries
    runs_kept_days: float = 90.0
    core: float = 0.6  # of a core may be used at the peak
    web_connections: int = 7  # of a web process: five that serve, two that store
    worker_connections: int = 2


@dataclass(frozen=True, slots=True)
class Needs:
    """Of all shops together. `cores` are what is busy at the peak; `processes` as many as keep each below its share."""

    shops: int
    deliveries_per_second: float  # at the peak
    runs_per_second: float
    cores: Mapping[str, float]
    processes: Mapping[str, int]
    connections: int
    wal_per_second: float  # bytes at the peak
    inbox_bytes: float
    mirror_bytes: float
    runs_bytes: float
    redis_bytes: float

    @property
    def disk_bytes(self) -> float:
        return self.inbox_bytes + self.mirror_bytes + self.runs_bytes


def needs(shop: Shop, shops: int, price: Prices, habit: Habits) -> Needs:
    products = shops * shop.product_webhooks / DAY * habit.peak
    changed, unchanged = products * habit.changed, products * (1 - habit.changed)
    customers = shops * shop.customer_webhooks / DAY * habit.peak
    runs = shops * FEEDS * habit.quiet_runs / DAY
    read = shops * (shop.products + shop.members + shop.bystanders) * habit.complete_runs / DAY
    busy = dict.fromkeys(ROLES, 0.0)
    for often, cost in (
        *((changed, price.changed), (unchanged, price.unchanged), (customers, price.customer)),
        *((runs, price.quiet_run), (read, price.read_record)),
    ):
        for role, milliseconds in cost.items():
            busy[role] = busy.get(role, 0.0) + often * milliseconds / 1000
    busy["clock"] += (price.clock_minute + shops * price.clock_minute_shop) / 60_000 + runs * price.started_run / 1000
    processes = {role: _processes(busy[role], habit.core) for role in ("web", "live", "bulk")}
    workers = processes["live"] + processes["bulk"] + 1
    wal = changed * price.wal_changed + unchanged * price.wal_unchanged + customers * price.wal_customer
    deliveries_a_day = shops * (shop.product_webhooks + shop.customer_webhooks)
    return Needs(
        shops=shops,
        deliveries_per_second=products + customers,
        runs_per_second=runs,
        cores=busy,
        processes=processes,
        connections=processes["web"] * habit.web_connections + workers * habit.worker_connections,
        wal_per_second=wal + runs * price.wal_quiet_run,
        inbox_bytes=deliveries_a_day * habit.kept_days * price.delivery_bytes,
        mirror_bytes=shops * (shop.products * price.product_bytes + shop.members * price.member_bytes)
        + shops * shop.bystanders * price.bystander_bytes,
        runs_bytes=shops * FEEDS * habit.quiet_runs * habit.runs_kept_days * price.run_bytes,
        redis_bytes=shops * price.redis_shop_bytes,
    )


def _processes(busy: float, share: float) -> int:
    """At least one; each is one thread of Python at a time, so at most one core."""
    return max(1, -int(-busy // share))


@dataclass(frozen=True, slots=True)
class Limit:
    """Where one thing ends: `share` of it is used."""

    what: str
    share: float
    then: str


# What one of a kind can do; larger ones can be bought, which moves the number and not the order.
POSTGRES_CORES, POSTGRES_DISK, POSTGRES_WAL, CONNECTIONS = 32, 4 * 1024 * GIB, 100 * MIB, 300
STARTS_PER_SECOND = 1_000  # runs that a clock starts


def limits(need: Needs, habit: Habits) -> list[Limit]:
    """The one that is met first comes first."""
    found = [
        Limit("one web process", need.cores["web"] / habit.core, "more web processes, on as many machines as you like"),
        Limit("one live worker", need.cores["live"] / habit.core, "more live workers; each serves one shop at a time"),
        Limit("one bulk worker", need.cores["bulk"] / habit.core, "more bulk workers, or fewer complete runs"),
        Limit("the clock", need.cores["clock"] / habit.core, "longer intervals of its duties"),
        Limit("the clock's starts", need.runs_per_second / STARTS_PER_SECOND, "longer reconcile intervals"),
        Limit("Redis' one thread", need.cores["redis"] / habit.core, "a Redis for each part of the shops"),
        Limit(
            "Postgres' connections", need.connections / CONNECTIONS, "a pooler in transaction mode, or max_connections"
        ),
        Limit(
            f"a Postgres of {POSTGRES_CORES} cores",
            need.cores["postgres"] / (habit.core * POSTGRES_CORES),
            "replicas for lookups first; then shards by shop (Citus): every key begins with it",
        ),
        Limit(
            f"{POSTGRES_WAL // MIB} MiB of WAL a second",
            need.wal_per_second / POSTGRES_WAL,
            "shards by shop: a replica has to write the same WAL",
        ),
        Limit(
            f"{POSTGRES_DISK // GIB // 1024} TiB of disk",
            need.disk_bytes / POSTGRES_DISK,
            "fewer days of retention, then shards by shop",
        ),
    ]
    return sorted(found, key=lambda limit: -limit.share)
