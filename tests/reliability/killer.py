"""Starts a process of the product as the Procfile does, and ends it by SIGKILL beside one of its durable writes.

`python -m killer live|bulk|clock|flask …`, or `granian … killer:create_app`. The product has no switch for this:
commits and Redis commands are wrapped, and a point is named by the function of the product that made the write and the
one that had called it. In the folder that KILLER names, `points` gains a line for each point that is passed for the
first time, and the process that comes to one of the points written in `arm` takes that file away, leaves the point in
`fired`, and dies.

Leases and periods are shortened in the same way: what a dead process held is waited for, never lifted. With
KEEP_SECONDS set, so are the times that things are kept for.
"""

import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

import redis
from rq import Queue
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import Transaction

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = tuple(str(ROOT / room) for room in ("adapters", "workers", "app"))
FOLDER = Path(os.environ["KILLER"])
WRITES = re.compile(r"\b(insert\s+into|update\s+\w+\s+(as\s+)?(\w+\s+)?set|delete\s+from)\b", re.IGNORECASE)
READS = {
    *("GET", "HGET", "HMGET", "HGETALL", "ZCARD", "ZCOUNT", "LLEN", "PTTL", "TTL", "PING"),
    *("EXISTS", "SMEMBERS", "ZRANGE", "LRANGE", "INFO", "SCARD", "ZSCORE", "CLIENT", "TIME", "TYPE"),
    *("SISMEMBER", "ZRANGEBYSCORE", "LPOS", "HEXISTS", "SCRIPT", "HELLO"),
}
LEASE = 2

role = "web"
passed: set[str] = set()


def create_app():
    """The web process, by granian."""
    prepare()
    from app import create_app

    return create_app()


def main() -> None:
    global role  # noqa: PLW0603  # a process has one
    role = sys.argv[1]
    prepare()
    if role == "flask":
        from flask.cli import main

        sys.argv = sys.argv[1:]
        main()
    else:
        from workers.__main__ import main

        main([role])


def prepare() -> None:
    hasten()
    watch_commits()
    watch_redis()


def hasten() -> None:
    from adapters import access, alerts, bell, health, notices, runs
    from workers import alerts as alarms
    from workers import health as checks
    from workers import notices as telling
    from workers import retention, timetable

    for module in (access, alerts, bell, health, notices, runs):
        module.LEASE_SECONDS = LEASE
    for module in (checks, telling, alarms, retention):
        module.QUEUED_SECONDS = LEASE
    alerts._IS_DUE = re.sub(r"'(1 hour|5 minutes)'", "'1 second'", alerts._IS_DUE)
    alerts._CLAIM = text(re.sub(r"'(1 hour|5 minutes)'", "'1 second'", alerts._CLAIM.text))
    Queue.acquire_maintenance_lock = lambda its: its.connection.set(its.registry_cleaning_key, 1, nx=True, ex=LEASE)
    timetable.DUTIES = tuple(replace(duty, every=min(duty.every, 1.0)) for duty in timetable.DUTIES)
    if "KEEP_SECONDS" in os.environ:
        import hasty

        hasty.hasten()


def watch_commits() -> None:
    @event.listens_for(Engine, "before_cursor_execute")
    def note(db: Connection, _cursor, statement: str, *_) -> None:
        if not WRITES.search(statement):
            return
        if commits_by_itself(db):
            come_to(caller(), "before")
        else:
            db.info["writes"] = True

    @event.listens_for(Engine, "after_cursor_execute")
    def it_is_done(db: Connection, _cursor, statement: str, *_) -> None:
        if commits_by_itself(db) and WRITES.search(statement):
            come_to(caller(), "after")

    @event.listens_for(Engine, "begin")
    def forget(db: Connection) -> None:
        db.info.pop("writes", None)

    commit = Transaction.commit

    def commit_or_die(self: Transaction) -> None:
        name = caller() if self.connection.info.pop("writes", False) else None
        come_to(name, "before")
        commit(self)
        come_to(name, "after")

    Transaction.commit = commit_or_die


def commits_by_itself(db: Connection) -> bool:
    """The front door's connection does, with each statement."""
    return bool(db.connection.driver_connection.autocommit)


def watch_redis() -> None:
    ask, execute = redis.Redis.execute_command, redis.client.Pipeline.execute

    def ask_or_die(self: redis.Redis, *words, **more):
        verb = str(words[0]).split()[0].upper()
        name = f"{caller()} {verb}" if verb not in READS and caller() else None
        come_to(name, "before")
        answer = ask(self, *words, **more)
        come_to(name if answer is not None else None, "after")  # a wait that ended with nothing
        return answer

    def execute_or_die(self: redis.client.Pipeline, *words, **more):
        verbs = sorted({str(command[0][0]).split()[0].upper() for command in self.command_stack} - READS)
        name = f"{caller()} {'+'.join(verbs)}" if verbs and caller() else None
        come_to(name, "before")
        answer = execute(self, *words, **more)
        come_to(name, "after")
        return answer

    redis.Redis.execute_command, redis.client.Pipeline.execute = ask_or_die, execute_or_die


def caller() -> str | None:
    """The function of the product that is at work, and which one has called it; None in a library's own thread."""
    frame: FrameType | None = sys._getframe(1)
    names: list[str] = []
    while frame is not None and len(names) < 2:
        path = frame.f_code.co_filename
        if path.startswith(ROOMS):
            module = Path(path).relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            names.append(f"{module}.{frame.f_code.co_qualname}")
            if frame.f_code.co_name == "request_stop":  # a signal's: below it lies whatever was interrupted
                break
        frame = frame.f_back
    return " by ".join(names) or None


def come_to(name: str | None, moment: str) -> None:
    if name is None:
        return
    point = f"{moment} {role}: {name}"
    if point not in passed:
        passed.add(point)
        with (FOLDER / "points").open("a") as file:
            file.write(f"{point}\n")
    if _is_armed(point):
        os.kill(os.getpid(), signal.SIGKILL)


def _is_armed(point: str) -> bool:
    """The renaming settles who dies, should several come to theirs at once."""
    try:
        if point not in (FOLDER / "arm").read_text().splitlines():
            return False
        (FOLDER / "arm").rename(FOLDER / "firing")
    except FileNotFoundError:
        return False
    (FOLDER / "firing").write_text(point)
    (FOLDER / "firing").rename(FOLDER / "fired")
    return True


if __name__ == "__main__":
    main()
