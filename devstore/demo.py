"""`make demo`: a whole shop and its app on this machine, with a post that loses, doubles, delays and reorders.

With ONCE=1 in the environment it lasts for CHANGES (500) changes without a terminal, and ends with 0 only if the
invariant then holds (`devstore.invariant`: the mirror equals the store, and nothing was lost, doubled or wrongly
removed on the way), 1 if not, 130 if it was stopped before it could say. PORT chooses the app's port.
"""

import os
import sys
from collections import deque

from rich.text import Text

from devstore.demo_compare import expected
from devstore.demo_ending import Finale, report
from devstore.demo_patience import Patience, Stopped, TimeUp
from devstore.demo_play import Change, Play
from devstore.demo_screen import Screen, View
from devstore.demo_stage import Stage, StageError, stage
from devstore.demo_watch import AppReader, Observer
from devstore.invariant import install_witness

SHOPS = ("alpha.myshopify.com", "beta.myshopify.com")
STOCK = {"products": 60, "customers": 60, "variants": 3, "b2b": 0.4}
ONCE_SECONDS = 180.0
ONCE_PACE, CALM_PACE = 14.0, 1.0  # changes a second


def main() -> int:
    once = os.environ.get("ONCE", "0") not in ("", "0")
    screen = Screen(plain=once)
    patience = Patience(ONCE_SECONDS if once else None)
    patience.heed_signals()
    try:
        status = play(screen, patience, int(os.environ.get("CHANGES", "500")) if once else None)
    except Stopped:
        screen.say("Everything is stopped.")
        return 130 if once else 0
    except (StageError, TimeUp) as problem:
        screen.say(Text.assemble(("The demo failed. ", "red"), str(problem)))
        screen.say("What its processes wrote lies in .run/demo-*, until the next demo.")
        return 1
    return status


def play(screen: Screen, patience: Patience, changes: int | None) -> int:
    """The exit status. Without a number of changes it goes on until somebody stops it."""
    with stage(patience, screen.step) as scene:
        install_witness(scene.environment["DATABASE_URL"])
        app = install(scene, screen, patience)
        actors = Play(scene.store, SHOPS)
        imported = expected({shop: scene.store.truth(shop) for shop in SHOPS})
        perform(scene, app, actors, screen, patience, changes)
        ending = Finale(scene, app, actors, screen.step, patience).play(imported)
    screen.say(report(ending))
    return 0 if ending.is_right else 1


def install(scene: Stage, screen: Screen, patience: Patience) -> AppReader:
    """Two shops, as a user would: each with a custom app's token, which starts their first import."""
    for shop in SHOPS:
        name, token = shop.partition(".")[0], f"shpat_{shop.partition('.')[0]}"
        screen.step(f"Installing {name}")
        scene.store.open_shop(shop, token=token, **STOCK)
        scene.flask("shops", "add", shop, "--token", token)
        patience.check("the install")
    app = AppReader(scene.store, scene.app_url, SHOPS)
    scene.write_env_file(**{shop.partition(".")[0].upper(): app.tokens[shop] for shop in SHOPS})
    screen.step("Importing what the shops have")
    patience.until(app.imported, "the first import", every=0.3)
    screen.step_done()
    return app


def perform(
    scene: Stage, app: AppReader, actors: Play, screen: Screen, patience: Patience, changes: int | None
) -> None:
    """Change after change at an even pace, telling what happens. `changes` None: for ever, until Stopped."""
    pace = CALM_PACE if changes is None else ONCE_PACE
    latest: deque[Change] = deque(actors.greet(), maxlen=20)
    scene.store.mood("bad")
    places, hints = _places(scene, app), _hints(scene)
    with screen.living() as display, Observer(scene, app, SHOPS, thorough=not screen.plain) as observer:
        began, greeted = patience.elapsed, actors.made
        while changes is None or actors.made < changes:
            latest.append(actors.act())
            silent, seen = len(actors.silences), observer.figures
            display.show(View(patience.elapsed, actors.made, silent, tuple(latest), seen, places, hints))
            patience.pause(began + (actors.made - greeted) / pace - patience.elapsed, "the play to end")


def _places(scene: Stage, app: AppReader) -> list[tuple[str, str]]:
    console = f"{scene.app_url}/ops  as demo, password {scene.environment['OPS_PASSWORD']}"
    return [
        ("Merchant", f"{scene.store.url}/{SHOPS[0]}/admin/apps/data-sync  (a pretend Shopify admin around the app)"),
        ("App", scene.app_url),
        *([("On call", console)] if app.has("/ops") else []),
        ("Store", f"{scene.store.url}/_devstore/  (a pretend Shopify)"),
    ]


def _hints(scene: Stage) -> list[str]:
    return [
        f". {scene.env_file}",
        ".venv/bin/flask lookup alpha ABC-1",
        ".venv/bin/flask explain beta bob@biller.example",
        ".venv/bin/flask deliveries list --outcome superseded",
        'curl -H "Authorization: Bearer $ALPHA" "$APP_URL/api/v1/products?q=ABC-1"',
    ]


if __name__ == "__main__":
    sys.exit(main())
