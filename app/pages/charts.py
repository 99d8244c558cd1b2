"""Bars and their labels as shapes: numbers in, coordinates out. A template draws them and decides nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Drawn for a small screen at about its own size, so that the text is readable there; larger ones enlarge it.
WIDTH, HEIGHT = 320.0, 112.0
TOP, BOTTOM = 20.0, 22.0  # room for the peak's label and for the names below
FLOOR = HEIGHT - BOTTOM
LEAST = 2.0  # a bar of 1 beside one of 10,000 is still seen
GAP = 0.25  # of a bar's place
LETTER = 6.6  # about as wide as a digit is


@dataclass(frozen=True, slots=True)
class Bar:
    """`y` is its upper edge."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    """`anchor` is SVG's text-anchor: which end of the text stands at `x`."""

    x: float
    y: float
    anchor: str
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`peak` labels the highest bar with its number; None when every value is 0, and then there are no bars either."""

    bars: tuple[Bar, ...]
    peak: Label | None
    ticks: tuple[Label, ...]
    width: float = WIDTH
    height: float = HEIGHT
    floor: float = FLOOR


def bar_chart(values: Sequence[int], ticks: Mapping[int, str]) -> Chart:
    """A bar a value, from 0 to the highest. `ticks` name some of them by their place; nothing is drawn for a 0."""
    place = WIDTH / max(1, len(values))
    highest = max(values, default=0)
    bars = tuple(_bar(n, value / highest, place) for n, value in enumerate(values) if value)
    names = tuple(_label(place * (n + 0.5), HEIGHT - 6, words) for n, words in sorted(ticks.items()))
    peak = _label(place * (list(values).index(highest) + 0.5), TOP - 6, f"{highest:,}") if highest else None
    return Chart(bars, peak, names)


def _bar(number: int, share: float, place: float) -> Bar:
    height = max(LEAST, share * (FLOOR - TOP))
    return Bar(
        x=round(place * (number + GAP / 2), 2),
        y=round(FLOOR - height, 2),
        width=round(place * (1 - GAP), 2),
        height=round(height, 2),
    )


def _label(x: float, y: float, words: str) -> Label:
    """Centred, unless it would then stand out of the picture."""
    half = len(words) * LETTER / 2
    if x < half:
        return Label(0.0, y, "start", words)
    if x > WIDTH - half:
        return Label(WIDTH, y, "end", words)
    return Label(round(x, 2), y, "middle", words)
