"""The load generator: a process of its own with keep-alive connections and requests that were written before.

`python -m bench.sender FILE PORT CONNECTIONS COUNT PER_SECOND` prints an empty object when it is ready, waits for a
line, sends, and prints its report, or what went wrong. PER_SECOND 0: each connection sends its next request when the
last one is answered. Otherwise the requests have their times (Poisson, seeded) whatever the answers do, and a latency
counts from that time, not from when a connection was free: a server that stalls is charged for everything that had to
wait (no coordinated omission).
"""

import gc
import json
import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from bench.mail import read_requests
from bench.spread import latencies

PATIENCE = 180.0  # seconds without any answer
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Sent:
    """`began` is the machine's monotonic clock at the first POST; `seconds` from there to the last answer."""

    began: float
    seconds: float
    statuses: dict[str, int]
    latency: dict[str, float]
    per_second: float


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that are being sent by another process."""

    process: subprocess.Popen[str]

    def goes_on(self) -> bool:
        assert self.process.stdout
        return not select.select([self.process.stdout], [], [], 0)[0]

    def report(self) -> Sent:
        """Once all are answered."""
        assert self.process.stdout
        return Sent(**_without_trouble(self.process.stdout.readline()))


def _without_trouble(line: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(line or '{"trouble": "it ended."}')
    if "trouble" in told:
        raise RuntimeError(f"The load generator broke off: {told['trouble']}")
    return told


def send(file: Path, port: int, count: int, *, connections: int = 32, per_second: float = 0) -> Sent:
    """Send the first `count` requests of a file from another process, and wait until all are answered."""
    with sending(file, port, count, connections=connections, per_second=per_second) as load:
        return load.report()


@contextmanager
def sending(file: Path, port: int, count: int, *, connections: int = 32, per_second: float = 0) -> Iterator[Load]:
    """The same, while something else is measured beside it."""
    words = [str(file), str(port), str(connections), str(count), str(per_second)]
    command = [sys.executable, "-m", "bench.sender", *words]
    with subprocess.Popen(  # noqa: S603  # ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT, start_new_session=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            _without_trouble(process.stdout.readline())
            process.stdin.write("go\n")
            process.stdin.flush()
            yield Load(process)
        finally:
            process.kill()


def main(file: str, port: str, connections: str, count: str, per_second: str) -> None:
    try:
        requests = read_requests(Path(file), int(count))
        lines = [_Line(int(port)) for _ in range(int(connections))]
        due = _schedule(len(requests), float(per_second))
        gc.freeze()
        gc.disable()
        print("{}", flush=True)
        if sys.stdin.readline():
            print(json.dumps(_send_all(lines, requests, due)), flush=True)
    except (OSError, ValueError) as trouble:
        print(json.dumps({"trouble": str(trouble)}), flush=True)


def _schedule(count: int, per_second: float) -> list[float]:
    """Seconds from the beginning, ascending; all at once when there is no rate."""
    if not per_second:
        return [0.0] * count
    chance = random.Random(20_261_001)
    return list(accumulate(chance.expovariate(per_second) for _ in range(count)))


class _Line:
    """One keep-alive connection, with at most one request on its way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._read = b""

    def status(self) -> str | None:
        """Of the answer, once all of it is here."""
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionError("The server closed a keep-alive connection.")
        self._read += received
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return None
        self._read = b""
        return head[9:12].decode()


def _content_length(head: bytes) -> int:
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("An answer without a length.")


def _send_all(lines: Sequence[_Line], requests: Sequence[bytes], due: Sequence[float]) -> dict[str, object]:
    poll = select.poll()
    by_number = {line.socket.fileno(): line for line in lines}
    for number in by_number:
        poll.register(number, select.POLLIN)
    free, statuses, taken = deque(lines), Counter[str](), list[float]()
    began = time.monotonic()
    sent = 0
    while len(taken) < len(requests):
        now = time.monotonic() - began
        while free and sent < len(requests) and due[sent] <= now:
            line = free.popleft()
            line.due = due[sent]
            line.socket.sendall(requests[sent])
            sent += 1
        pause = max(0.0, due[sent] - now) if free and sent < len(requests) else PATIENCE
        answers = poll.poll(pause * 1000)
        if not answers and pause == PATIENCE:
            raise TimeoutError(f"No answer for {PATIENCE:.0f} s.")
        for number, _ in answers:
            line = by_number[number]
            if status := line.status():
                taken.append(time.monotonic() - began - line.due)
                statuses[status] += 1
                free.append(line)
    seconds = time.monotonic() - began
    return {
        "began": began,
        "seconds": seconds,
        "statuses": dict(statuses),
        "latency": latencies(taken),
        "per_second": len(requests) / seconds,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
