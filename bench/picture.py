"""The rates of all who compete as bars, in an SVG that follows the reader's light or dark."""

from html import escape
from typing import Any

from bench.rows import CONTESTANTS, Figures
from bench.stage import OURS

WIDTH, LEFT, RIGHT = 880, 200, 150
BAR, GAP, TOP = 16, 18, 64
SERIES = {"applied_per_second": "end to end", "accepted_per_second": "accepted"}
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px } .small { font-size: 12px }
    .applied_per_second { fill: #1a7f5a } .accepted_per_second { fill: #8fb8de }
    .floor { fill-opacity: .45 } .ours { font-weight: 600 } .axis { stroke: #8c959f }
    .spread { stroke: #1f2328; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .applied_per_second { fill: #3fb984 } .accepted_per_second { fill: #4a7fb5 }
      .axis { stroke: #6e7681 } .spread { stroke: #e6edf3 }
    }
"""


def picture(rounds: Figures) -> str:
    """A pair of bars for each; the thin line is from the lowest to the highest round."""
    names = [name for name in CONTESTANTS if name in rounds]
    most = max(of[which]["high"] for of in rounds.values() for which in SERIES if which in of)
    parts, y = list(_legend()), TOP
    for name in names:
        series = [which for which in SERIES if which in rounds[name]]
        middle = y + len(series) * BAR / 2 + 4
        bold = ' class="ours"' if name == OURS else ""
        parts.append(f'<text x="{LEFT - 12}" y="{middle:.0f}" text-anchor="end"{bold}>{escape(name)}</text>')
        for which in series:
            parts += _bar(y, which, rounds[name][which], most, is_floor=name.startswith("floor"))
            y += BAR
        y += GAP
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP - 8}" y2="{y - GAP + 8}"/>')
    told = "; ".join(f"{name} {_told(rounds[name])}" for name in names)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">'
    title = f"<title>Deliveries a second, side by side</title><desc>{escape(told)}</desc>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def _legend() -> list[str]:
    parts, x = [f'<text class="title" x="{LEFT}" y="22">Deliveries a second (more is better)</text>'], LEFT
    for which, words in SERIES.items():
        parts.append(f'<rect class="{which}" x="{x}" y="34" width="12" height="12" rx="2"/>')
        parts.append(f'<text class="small" x="{x + 18}" y="45">{words}</text>')
        x += 110
    return parts


def _bar(y: int, which: str, of: dict[str, Any], most: float, *, is_floor: bool) -> list[str]:
    scale = (WIDTH - LEFT - RIGHT) / most
    width, low, high = (of[name] * scale for name in ("median", "low", "high"))
    kind, middle = f"{which} floor" if is_floor else which, y + BAR / 2
    return [
        f'<rect class="{kind}" x="{LEFT}" y="{y + 1}" width="{max(width, 1):.1f}" height="{BAR - 2}" rx="2"/>',
        f'<line class="spread" x1="{LEFT + low:.1f}" x2="{LEFT + high:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text class="small" x="{LEFT + high + 8:.1f}" y="{middle + 4}">{of["median"]:,.0f}/s</text>',
    ]


def _told(of: Figures) -> str:
    return ", ".join(f"{words} {of[which]['median']:,.0f}" for which, words in SERIES.items() if which in of)
