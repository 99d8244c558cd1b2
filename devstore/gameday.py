"""`make gameday`: four bad days of an on-call engineer, on the demo's stage, with what to look at in each.

A four-hour outage, a rotated secret, poison, and a bug in a schema with its fix and replay. With a terminal each act
waits for Enter; with ONCE=1 none does. It ends with 0 only if the mirror then equals the store, 1 if not.
"""

import os
import secrets
import select
import sys
import uuid
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from rich.text import Text

from devstore.courier import sign
from devstore.demo import SHOPS, install
from devstore.demo_compare import Resource, differences, expected, unhearable, unknowable
from devstore.demo_ending import Finale, report
from devstore.demo_patience import Patience, Stopped, TimeUp
from devstore.demo_play import Play
from devstore.demo_screen import Screen
from devstore.demo_stage import ROOT, Stage, StageError, stage, start_app
from devstore.demo_watch import AppReader

ALPHA = SHOPS[0]
ONCE_SECONDS = 400.0
OUTAGE_SECONDS = 31.0  # of the pretend Shopify's time: its eight tries take half a minute instead of four hours
CHANGES = 40
RICH = {"bucket": 20_000, "restore_rate": 1_000}  # as a large shop's: nobody is here to watch runs wait for points
SCARCE = {"RECONCILE_SECONDS": "3600", "COMPLETE_RUN_SECONDS": "86400"}  # or runs would mend what an engineer should


def main() -> int:
    once = os.environ.get("ONCE", "0") not in ("", "0")
    screen, patience = Screen(plain=True), Patience(ONCE_SECONDS if once else None)
    patience.heed_signals()
    try:
        with stage(patience, screen.step, **SCARCE) as scene, ExitStack() as stack:
            return GameDay(scene, stack, screen, patience, waits=not once).play()
    except Stopped:
        screen.say("Everything is stopped.")
        return 130 if once else 0
    except (StageError, TimeUp) as problem:
        screen.say(Text.assemble(("The game day failed. ", "red"), str(problem)))
        screen.say("What its processes wrote lies in .run/demo-*, until the next demo.")
        return 1


class GameDay:
    def __init__(self, scene: Stage, stack: ExitStack, screen: Screen, patience: Patience, *, waits: bool) -> None:
        self._scene, self._stack, self._screen, self._patience = scene, stack, screen, patience
        self._waits = waits
        self._running = scene.app
        self._app = install(scene, screen, patience)
        for shop in SHOPS:
            scene.store.settings(shop, **RICH)
        self._actors = Play(scene.store, SHOPS)
        self._imported = self._truth()

    def play(self) -> int:
        self._screen.say(f"\nIn another terminal:  . {self._scene.env_file}")
        self._screen.say(f"The console:          {self._scene.app_url}/ops  as demo, {self._password}")
        for act in (self._outage, self._rotation, self._poison, self._bug):
            act()
        self._screen.say("\nThe end: nothing may be left of all that.")
        ending = Finale(self._scene, self._app, self._actors, self._screen.step, self._patience).play(self._imported)
        self._screen.say(report(ending))
        return 0 if ending.is_right else 1

    @property
    def _password(self) -> str:
        return f"password {self._scene.environment['OPS_PASSWORD']}"

    # 1

    def _outage(self) -> None:
        self._act(
            "1. An outage of four hours", "The app is down. Shopify tries each webhook eight times, then gives up."
        )
        self._running.stop()
        self._screen.step(f"The shops go on for four hours ({OUTAGE_SECONDS:.0f} s here)")
        for _ in range(CHANGES):
            self._actors.act()
            self._patience.pause(OUTAGE_SECONDS / CHANGES, "the outage to end")
        self._start("Starting the app again")
        self._run_dry()
        counts = self._scene.store.counts()
        self._look("flask gaps alpha", "nothing yet: what was given up has not been missed")
        for shop in SHOPS:
            for feed in ("products", "customers"):
                self._screen.step(f"A complete run of {shop.partition('.')[0]}'s {feed}")
                self._scene.flask("runs", "start", shop, feed, "--complete", "--wait")
        gaps = sum(self._flask("gaps", shop)["counts"].get("never_delivered", 0) for shop in SHOPS)
        self._look("flask gaps alpha", "what Shopify gave up, found and repaired, as never_delivered")
        self._tell(f"Shopify gave up {counts['failed']} webhooks; runs repaired {gaps} records for them.")
        self._demand(counts["failed"] > 0 and gaps > 0, "an outage of four hours must cost webhooks, and be repaired")

    # 2

    def _rotation(self) -> None:
        self._act("2. A secret is rotated", "Shopify goes on signing with the old one for a while: both must verify.")
        environment, old, new = (
            self._scene.environment,
            self._scene.environment["SHOPIFY_API_SECRET"],
            secrets.token_hex(16),
        )
        environment |= {"SHOPIFY_API_SECRET": new, "SHOPIFY_API_SECRET_PREVIOUS": old}
        self._running.stop()
        self._start("Starting the app with both secrets")
        self._some_changes(6)
        self._scene.store.move_app(secret=new)
        self._app.close()
        self._app = AppReader(self._scene.store, self._scene.app_url, SHOPS)
        self._some_changes(6)
        self._look("flask secrets check", "both have verified something; the previous one is not safe to remove yet")
        uses = self._flask("secrets", "check")["secrets"]
        self._tell(
            f"The current secret verified {uses[0]['last_hour']} webhooks, the previous one {uses[1]['last_hour']}."
        )
        self._demand(all(use["last_hour"] for use in uses), "both secrets must have verified something")
        self._demand(not uses[1]["safe_to_remove"], "a secret that was just needed must not be called safe to remove")

    # 3

    def _poison(self) -> None:
        self._act("3. Poison", "Genuine webhooks that nobody can read. They must hold up nothing, and be seen.")
        statuses = [self._post(body) for body in (b'{"id": "seven"}', b'{"id": 7, "title"', b"[]")]
        self._demand(statuses == [200] * 3, "what is genuine is stored, readable or not")
        self._some_changes(10)
        dead = self._dead()
        self._look("flask issues list", "the poison in groups, each with what it has in common")
        self._look("flask deliveries list --outcome dead", "each of them, with its reason")
        self._tell(f"{len(dead)} are dead, everything else was applied beside them.")
        self._demand(len(dead) == 3, "the poison alone is dead")
        self._flask("deliveries", "dismiss", "--outcome", "dead", "--reason", "poison of the game day", "--yes")
        self._look("flask deliveries dismiss --outcome dead --reason … --yes", "done: nobody needs them")
        self._demand(not self._dead(), "what is dismissed is not dead any more")

    def _post(self, body: bytes) -> int:
        headers = {
            "Content-Type": "application/json",
            "X-Shopify-Topic": "products/update",
            "X-Shopify-Hmac-Sha256": sign(body, self._scene.environment["SHOPIFY_API_SECRET"]),
            "X-Shopify-Shop-Domain": ALPHA,
            "X-Shopify-Webhook-Id": str(uuid.uuid4()),
        }
        return httpx.post(f"{self._scene.app_url}/webhooks", content=body, headers=headers).status_code

    # 4

    def _bug(self) -> None:
        self._act("4. A bug in a schema", "A release cannot read products of two variants or more. Their webhooks die.")
        self._running.stop()
        self._start("Starting the release with the bug", _with_a_bug(self._scene))
        self._some_changes(CHANGES)
        dead = len(self._dead())
        self._look("flask issues list", "one kind of error, at one line")
        self._tell(f"{dead} deliveries are dead; the mirror differs in {len(self._unexplained())} places.")
        self._demand(dead > 0, "a bug must make deliveries dead")
        self._running.stop()
        self._start("Starting the release with the fix")
        self._look("flask replays start --outcome dead", "the forecast: what today's rules would do, without doing it")
        self._screen.step("Replaying what is dead")
        words = ("--outcome", "dead", "--name", "game day", "--reason", "the bug is fixed", "--wait", "--yes")
        self._flask("replays", "start", *words)
        self._patience.until(self._app.all_done, "the replay to be applied", every=0.3)
        self._look("flask replays list", "what came of it")
        left = self._unexplained()
        self._tell(
            f"{len(self._dead())} deliveries are dead; the mirror differs in {len(left)} places. No run has helped."
        )
        self._demand(not self._dead() and not left, f"a replay must leave nothing behind: {left[:3]}")

    # what all acts do

    def _act(self, title: str, words: str) -> None:
        self._screen.say(Text(f"\n{title}", style="bold"))
        self._screen.say(words)
        if not self._waits or not sys.stdin.isatty():
            return
        self._screen.say("Press Enter to begin.")
        while not select.select([sys.stdin], [], [], 0.2)[0]:
            self._patience.check("Enter")
        sys.stdin.readline()

    def _start(self, words: str, where: Path = ROOT) -> None:
        self._screen.step(words)
        environment = self._scene.environment | ({} if where == ROOT else {"PYTHONPATH": str(ROOT)})
        self._running = start_app(self._stack, self._scene.folder, environment, self._patience, where)

    def _some_changes(self, number: int) -> None:
        self._screen.step(f"{number} changes")
        for _ in range(number):
            self._actors.act()
            self._patience.check("the changes")
        self._run_dry()

    def _run_dry(self) -> None:
        self._screen.step("Waiting until everything has arrived and is decided")
        self._patience.until(self._settled, "webhooks that are being retried")
        self._patience.until(self._app.all_done, "the inbox, where deliveries still wait", every=0.3)

    def _settled(self) -> bool:
        return bool(self._scene.store.settle(1.0)["settled"])

    def _flask(self, *words: str) -> Any:
        return self._scene.flask(*words, exits=(0, 1))

    def _dead(self) -> Collection[Any]:
        return list(self._flask("deliveries", "list", "--outcome", "dead", "--limit", "1000")["deliveries"])

    def _truth(self) -> Collection[Resource]:
        return expected({shop: self._scene.store.truth(shop) for shop in SHOPS})

    def _unexplained(self) -> list[str]:
        """Where mirror and store differ although a webhook told."""
        truth = {shop: self._scene.store.truth(shop) for shop in SHOPS}
        ledger = self._scene.store.ledger()
        mirror = self._app.mirror(expected(truth), lambda: self._patience.check("the comparison"))
        excused = unknowable(truth, ledger, self._imported) | unhearable(truth, ledger, self._actors.silences)
        return [str(one) for one in differences(truth, mirror, excused)]

    def _look(self, command: str, words: str) -> None:
        self._screen.say(Text.assemble("  look: ", (command, "cyan"), f"  {words}"))

    def _tell(self, words: str) -> None:
        self._screen.say(f"  {words}")

    def _demand(self, fact: bool, words: str) -> None:
        if not fact:
            raise StageError(f"It is not as it should be: {words}.")


def _with_a_bug(scene: Stage) -> Path:
    """A folder whose Procfile starts the app's own web process, and its workers with a bug put into them."""
    folder = scene.folder / "with-a-bug"
    folder.mkdir()
    launcher = folder / "workers_with_a_bug.py"
    launcher.write_text(_BUG)
    lines = (ROOT / "Procfile").read_text().splitlines()
    kept = [line.replace("-m workers", str(launcher)) for line in lines if not line.startswith("release")]
    (folder / "Procfile").write_text("\n".join([*kept, ""]))
    return folder


_BUG = '''\
"""The workers of a bad release, made by the game day."""

import sys

from schemas import webhooks

read_product = webhooks.read_product


def read_badly(body, *rest):
    if len(body.get("variants") or ()) > 1:
        body["variants"][1]["compare_at"]
    return read_product(body, *rest)


webhooks.read_product = read_badly

from workers.__main__ import main

main(sys.argv[1:])
'''


if __name__ == "__main__":
    sys.exit(main())
