"""How a bounded demo ends. The post and the inbox run dry, and the invariant must hold for all that could be heard.
Then a complete run of every feed repairs the rest, and it must hold for everything.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from devstore.demo_compare import (
    FEEDS,
    Excuses,
    Resource,
    count,
    differences,
    expected,
    in_words,
    unhearable,
)
from devstore.demo_patience import Patience
from devstore.demo_play import Play
from devstore.demo_stage import Stage, StageError, Step
from devstore.demo_watch import OUTCOMES, AppReader, Body, Records, outcomes, overtaken, records, repaired
from devstore.invariant import breaches

SHOWN = 12  # breaches told one by one
MOST_DELIVERIES = 10_000  # that `flask deliveries list` gives at once


@dataclass(frozen=True, slots=True)
class Ending:
    """What was found. `unheard` is what webhooks alone could not tell, `amiss` the breaches of the invariant in
    everything else, `left` those that runs left.
    """

    made: int
    silent: int
    post: Mapping[str, int]
    inbox: Mapping[str, int]
    records: Mapping[str, Records]
    repaired: Mapping[str, int]
    unheard: Excuses
    drifted: int
    amiss: Sequence[str]
    left: Sequence[str]

    @property
    def is_right(self) -> bool:
        return not self.amiss and not self.left


class Finale:
    def __init__(self, scene: Stage, app: AppReader, actors: Play, step: Step, patience: Patience) -> None:
        self._scene, self._app, self._actors, self._step, self._patience = scene, app, actors, step, patience

    def play(self, imported: Collection[Resource]) -> Ending:
        """`imported`: what the shops had when they were installed."""
        self._run_dry()
        truth = {shop: self._scene.store.truth(shop) for shop in self._actors.shops}
        ledger = self._scene.store.ledger()
        unheard = unhearable(truth, ledger, self._actors.silences)
        before = self._compare(truth, "what webhooks alone have told")
        drift = differences(truth, before)
        amiss = self._breaches(before, imported, unheard)
        self._reconcile()
        after = self._compare(truth, "everything")
        deliveries = self._scene.flask("deliveries", "list", "--limit", str(MOST_DELIVERIES))["deliveries"]
        return Ending(
            made=self._actors.made,
            silent=len(self._actors.silences),
            post=self._scene.store.counts() | {"overtaken": overtaken(ledger)},
            inbox=outcomes(deliveries),
            records=records(truth, after),
            repaired=repaired(self._scene, self._actors.shops),
            unheard=unheard,
            drifted=len({difference.resource for difference in drift}),
            amiss=amiss,
            left=self._breaches(after, imported),
        )

    def _breaches(
        self, answers: Mapping[Resource, Body], imported: Collection[Resource], excused: Excuses | None = None
    ) -> list[str]:
        """`answers`: what the lookup has said of everything just now; the store is quiet, and nobody was redacted."""
        database_url = self._scene.environment["DATABASE_URL"]

        def mirror(asked: Collection[Resource]) -> dict[Resource, Body]:
            return {one: answers[one] for one in asked}

        return breaches(self._scene.store, database_url, mirror, self._actors.shops, imported=imported, excused=excused)

    def _run_dry(self) -> None:
        store = self._scene.store
        store.mood("calm")
        self._step("Waiting for the last webhooks")
        self._patience.until(lambda: bool(store.settle(1.0)["settled"]), "webhooks that are delayed or being retried")
        self._step("Waiting until nothing waits in the inbox")
        self._patience.until(self._app.all_done, "the inbox, where deliveries still wait", every=0.3)

    def _compare(self, truth: Mapping[str, Body], what: str) -> dict[Resource, Body]:
        resources = expected(truth)
        self._step(f"Comparing {what}: {count(len(resources), 'record')}")
        return self._app.mirror(resources, lambda: self._patience.check("the comparison"))

    def _reconcile(self) -> None:
        for shop in self._actors.shops:
            for feed in FEEDS:
                self._step(f"A complete run of {shop.partition('.')[0]}'s {feed}")
                while not self._run(shop, feed)["complete"]:
                    pass  # an incremental one was going; ours begins when it has ended
        self._patience.until(self._app.all_done, "the inbox, where a run's differences still wait", every=0.3)

    def _run(self, shop: str, feed: str) -> Body:
        number = self._scene.flask("runs", "start", shop, feed, "--complete")["id"]
        waiting_for = f"run {number} of {shop} {feed}"
        self._patience.until(lambda: bool(self._app.run(shop, number)["state"] != "running"), waiting_for, every=0.2)
        run = self._app.run(shop, number)
        if run["state"] != "finished":
            raise StageError(f"Run {number} of {shop} {feed} is {run['state']}: {run['reason']}")
        return run


def report(ending: Ending) -> RenderableType:
    parts: list[RenderableType] = ["", _table(ending)]
    if ending.unheard:
        parts += ["", "What webhooks alone could not tell, left to the reconciliation:"]
        parts += [Text(f"  {line}") for line in in_words(ending.unheard)]
    listed = {
        "Wrong although its webhooks arrived:": ending.amiss,
        "Still wrong after a complete run:": ending.left,
    }
    parts += [_listed(title, lines) for title, lines in listed.items() if lines]
    if ending.is_right:
        return Group(*parts, "", Text("The mirror equals the store.", style="bold green"))
    return Group(*parts, "", Text("The mirror is NOT what the store is.", style="bold red"))


def _table(ending: Ending) -> Table:
    post, inbox, mirror = ending.post, ending.inbox, ending.records
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(min_width=36)
    table.add_column(justify="right")
    sections = {
        "The store": {"changes": ending.made, "of which no webhook told": ending.silent},
        "Its webhooks": {"sent": post["owed"]}
        | {name: post[name] for name in ("lost", "doubled", "delayed")}
        | {"reordered": post["overtaken"], "answered 200": post["delivered"], "given up": post["failed"]},
        "The inbox": {name: inbox.get(name, 0) for name in (*OUTCOMES, "waiting")}
        | {"duplicates stored once": inbox.get("copies", 0)},
        "Found and repaired by runs": {cause.replace("_", " "): n for cause, n in sorted(ending.repaired.items())},
        "The mirror": {f"{feed} in the mirror": mirror[feed].mirror for feed in FEEDS}
        | {f"{feed} in the store that belong": mirror[feed].store for feed in FEEDS}
        | {"records that differed before the last runs": ending.drifted}
        | {"differences": len(ending.amiss) + len(ending.left)},
    }
    for title, rows in sections.items():
        table.add_row(Text(title, style="bold"), "")
        for name, number in rows.items():
            table.add_row(f"  {name}", f"{number:,}")
    return table


def _listed(title: str, lines: Sequence[str]) -> RenderableType:
    more = [f"  … and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return Text("\n".join(["", title, *(f"  {line}" for line in lines[:SHOWN]), *more]))
