"""A body made readable without being understood: no digit of a number is lost, and what is not JSON stays legible."""

import re

# A string that was cut off goes to the end: looking for its end from each of its quotes would take for ever.
_PART = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
LONGEST = 200_000


def pretty(body: bytes, longest: int = LONGEST) -> tuple[str, bool]:
    """The text, and whether it was cut off."""
    text = body[: longest + 1].decode("utf-8", "replace")
    cut = len(body) > longest
    return _indented(text[:longest]), cut


def _indented(text: str) -> str:
    out: list[str] = []
    depth, before = 0, ""
    for part in _PART.findall(text):
        if part in ("}", "]"):
            depth = max(0, depth - 1)
            if before not in ("{", "["):
                out.append("\n" + "  " * depth)
        elif before in ("{", "[", ","):
            out.append("\n" + "  " * depth)
        out.append(f"{part} " if part == ":" else part)
        if part in ("{", "["):
            depth = min(depth + 1, 100)
        before = part
    return "".join(out)
