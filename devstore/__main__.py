"""`python -m devstore --app-url http://127.0.0.1:8000 --secret S`: prints its address as one line of JSON."""

import argparse
import json
import signal
import threading

from devstore.mood import MOODS
from devstore.server import Server
from devstore.world import App, World


def main() -> None:
    wanted = _arguments()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    app = App(wanted.app_url, wanted.api_key, wanted.secret)
    world = World(app, seed=wanted.seed, mood=MOODS[wanted.mood], retry_scale=wanted.retry_scale)
    with Server(world, wanted.port) as server:
        print(json.dumps({"url": server.url, "seed": wanted.seed, "mood": wanted.mood}), flush=True)
        ended.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m devstore", description="A pretend Shopify that misbehaves on request."
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--app-url", default=None, help="where webhooks go (its /webhooks); none are sent without")
    parser.add_argument("--api-key", default="devstore-key")
    parser.add_argument("--secret", default="devstore-secret")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mood", choices=sorted(MOODS), default="calm")
    parser.add_argument(
        "--retry-scale", type=float, default=0.002, help="1 is Shopify's four hours, 0.002 half a minute"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
