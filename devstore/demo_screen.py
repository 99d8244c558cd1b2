"""What the demo shows: one live display where there is a terminal, plain lines now and then where there is none."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from devstore.demo_compare import count
from devstore.demo_play import Change
from devstore.demo_watch import OUTCOMES, Figures

if TYPE_CHECKING:
    from rich.status import Status

FIXED_LINES = 13  # of the display; the rest of the terminal's height shows changes
PLAIN_SECONDS = 5.0
TONES = {"applied": "green", "deleted": "green", "lost": "red", "dead": "bold red", "no webhook": "magenta"}


@dataclass(frozen=True, slots=True)
class View:
    """Everything the display shows at one moment. `changes` are the latest, oldest first."""

    elapsed: float
    made: int
    silent: int
    changes: Sequence[Change]
    figures: Figures
    places: Sequence[tuple[str, str]] = field(default_factory=tuple)
    hints: Sequence[str] = field(default_factory=tuple)


class Screen:
    def __init__(self, *, plain: bool) -> None:
        self.console = Console(highlight=False, soft_wrap=False)
        self.plain = plain or not self.console.is_terminal
        self._step: tuple[str, float] | None = None
        self._spinner: Status | None = None

    def step(self, words: str) -> None:
        """What is being done now, until the next step or `step_done`; a line with its time is left behind."""
        self.step_done()
        self._step = (words, time.monotonic())
        if self.plain:
            self.console.print(f"{words} …", end="")
        else:
            self._spinner = self.console.status(f"{words} …", spinner_style="cyan")
            self._spinner.start()

    def step_done(self) -> None:
        if self._step is None:
            return
        words, began = self._step
        self._step, took = None, f"{time.monotonic() - began:.1f} s"
        if self._spinner is None:
            self.console.print(f" {took}")
        else:
            self._spinner.stop()
            self._spinner = None
            self.console.print(f"[green]✓[/] {words} [dim]{took}[/]")

    def say(self, words: RenderableType = "") -> None:
        self.step_done()
        self.console.print(words, soft_wrap=True)

    @contextmanager
    def living(self) -> Iterator["Display"]:
        """A display to be given one view after the other."""
        self.step_done()
        if self.plain:
            yield PlainDisplay(self.console)
            return
        self.console.print()
        with Live(console=self.console, refresh_per_second=4, transient=False) as live:
            yield LiveDisplay(live)


class Display:
    def show(self, view: View) -> None:
        raise NotImplementedError


class LiveDisplay(Display):
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, view: View) -> None:
        self._live.update(Picture(view))


class PlainDisplay(Display):
    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = 0.0

    def show(self, view: View) -> None:
        if not self._due:
            places, hints = (f"{name}: {url}" for name, url in view.places), (f"  {hint}" for hint in view.hints)
            self._say("\n".join([*places, "In another terminal, in this folder:", *hints]))
        if view.elapsed >= self._due:
            self._due = view.elapsed + PLAIN_SECONDS
            self._say(plain_line(view))

    def _say(self, words: str) -> None:
        self._console.print(words, soft_wrap=True, markup=False)


def plain_line(view: View) -> str:
    post, inbox = view.figures.post, view.figures.inbox
    parts = [f"{_clock(view.elapsed)}  {count(view.made, 'change')}"]
    if post:
        names = ("lost", "doubled", "delayed")
        parts.append(f"{count(post['owed'], 'webhook')}, " + ", ".join(f"{post[name]} {name}" for name in names))
    told = [f"{inbox[name]} {name}" for name in (*OUTCOMES, "waiting") if inbox.get(name)]
    return " · ".join([*parts, ", ".join(told)] if told else parts)


class Picture:
    """A view, as large as the terminal allows."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view = self._view
        room = min(14, max(2, console.height - FIXED_LINES - len(view.places) - len(view.hints)))
        yield _places(view)
        yield ""
        yield _changes(view.changes[-room:], view.figures, room)
        yield ""
        yield _post(view)
        yield _inbox(view.figures)
        yield _records(view.figures)
        yield _repaired(view.figures)
        yield ""
        yield _between(view)
        yield from (Text(f" {hint}", style="cyan") for hint in view.hints)


def _places(view: View) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, url in view.places:
        grid.add_row(Text(name, style="bold"), Text(url, style="cyan"))
    return grid


def _changes(changes: Sequence[Change], figures: Figures, room: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    for change in changes:
        shop = change.shop.partition(".")[0]
        grid.add_row(
            time.strftime("%H:%M:%S", time.localtime(change.at)), shop, Text(change.words), _fate(change, figures)
        )
    for _ in range(room - len(changes)):
        grid.add_row("", "", "", "")
    return grid


def _fate(change: Change, figures: Figures) -> Text:
    """What its webhook met on the way, and what the app made of it."""
    if not change.fired:
        return Text("no webhook for this", style=TONES["no webhook"])
    arriving = [told for told in change.fired if told["fate"] != "lost"]
    if not arriving:
        return Text("webhook lost", style=TONES["lost"])
    told = arriving[0]
    became = figures.became.get(told["webhook_id"])
    on_the_way = "sent twice, " if told["doubled"] else ""
    on_the_way += f"{told['delayed_by']:.1f} s late, " if told["delayed_by"] else ""
    return Text.assemble((on_the_way, "yellow"), (became or "under way", TONES.get(became or "", "")))


def _post(view: View) -> RenderableType:
    post, quiet = view.figures.post, view.silent
    names = {
        "owed": "sent",
        "lost": "lost",
        "doubled": "doubled",
        "delayed": "delayed",
        "delivered": "answered 200",
    }
    row: dict[str, int | None] = {"changes": view.made, "silent": quiet}
    return _row("Store", row | {words: post.get(name) for name, words in names.items()})


def _inbox(figures: Figures) -> RenderableType:
    names = (*OUTCOMES, "waiting", "copies")
    return _row("Inbox", {name: figures.inbox.get(name, 0) if figures.inbox else None for name in names})


def _records(figures: Figures) -> RenderableType:
    table = _figures_table("Mirror", ("in the store", "in the mirror", "exactly the same"))
    for feed in ("products", "customers"):
        seen = figures.records.get(feed)
        numbers = ("…", "…", "…") if seen is None else (str(seen.store), str(seen.mirror), str(seen.same))
        table.add_row(f"  {feed}", *numbers)
    return table


def _repaired(figures: Figures) -> Text:
    causes = [f"{number} {cause.replace('_', ' ')}" for cause, number in figures.repaired.items()]
    return Text.assemble(("Repaired    ", "bold"), (", ".join(causes) or "nothing yet", "green" if causes else "dim"))


def _row(title: str, figures: dict[str, int | None]) -> RenderableType:
    table = _figures_table(title, tuple(figures))
    numbers = ["…" if number is None else str(number) for number in figures.values()]
    tones = [TONES.get(name, "") if number else "" for name, number in figures.items()]
    table.add_row("", *(Text(number, style=tone) for number, tone in zip(numbers, tones, strict=True)))
    return table


def _figures_table(title: str, columns: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(Text(title, style="bold not dim"), min_width=11)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _between(view: View) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True, overflow="ellipsis")
    trouble = Text(view.figures.trouble, style="yellow") if view.figures.trouble else Text("Ctrl-C stops all", "dim")
    grid.add_row(
        Text("In another terminal, in this folder:", style="bold"), trouble.append(f"  {_clock(view.elapsed)}")
    )
    return grid


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
