"""`python -m workers live|bulk|clock`: one process, one queue. RQ can lose a job between two queues."""

import signal
import sys
import time
from types import FrameType
from typing import Any

import redis
import structlog
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from adapters import heap, telemetry
from adapters.bell import LANES
from settings import settings_or_exit
from workers import timetable, turns
from workers.workshop import workshop

log = structlog.get_logger()
WORKER_TTL = 60  # an idle worker says every 45 s that it is there; by itself RQ would every 7 minutes


class TurnWorker(SimpleWorker):
    """Runs jobs in its own process: a job serves many turns, so a fork a job would only cost connections.

    The first SIGTERM also tells the turn at hand to be the last one of its job; RQ alone would wait for all of it.
    """

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        turns.stopping.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ says nothing of its types here


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in (*LANES, "clock"):
        sys.stderr.write("Usage: python -m workers live|bulk|clock\n")
        raise SystemExit(2)
    settings = settings_or_exit()
    telemetry.start_logging(arguments[0])
    telemetry.start_sentry(settings, arguments[0])
    heap.settle()
    log.info("started", lane=arguments[0])
    if arguments[0] == "clock":
        keep_time()
    else:
        work(arguments[0])


def keep_time() -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: turns.stopping.set())
    timetable.keep_time(workshop("clock"), turns.stopping)


def work(lane: str) -> None:
    """Until told to stop. Redis may be away at the start or go away later: wait for it, do not spin."""
    pause = 0.5
    while not turns.stopping.is_set():
        # RQ blocks on Redis for minutes, so its connection has a patience of its own.
        connection = redis.Redis.from_url(workshop(lane).settings.redis_url, socket_connect_timeout=2, protocol=2)
        began = time.monotonic()
        try:
            queue = Queue(lane, connection=connection, serializer=JSONSerializer)
            worker: Any = TurnWorker([queue], connection=connection, serializer=JSONSerializer, worker_ttl=WORKER_TTL)
            worker.work(logging_level="WARNING", with_scheduler=False)
        except redis.RedisError as error:
            log.warning("redis_away", error=type(error).__name__)
        pause = 0.5 if time.monotonic() - began > 30 else min(pause * 2, 10.0)
        turns.stopping.wait(pause)


if __name__ == "__main__":
    main(sys.argv[1:])
