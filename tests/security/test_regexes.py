"""No text makes a pattern take the square of its length: each of the product's patterns, tried on text made to hurt it.

Time is only compared with time: four times the text may take four times as long, and by no means sixteen times.
"""

import ast
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from adapters import telemetry, vault
from domain import query, text
from schemas import api_questions

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("domain", "schemas", "adapters", "app", "workers")
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
METHODS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
SMALL, LARGE, HUGE = 2_000, 8_000, 100_000
WORST = 8  # between four, which is linear, and sixteen
# Repeated, with each of the ends. Letters of the pattern itself come in addition.
CRUMBS = (
    *(
        "a",
        "A",
        "0",
        " ",
        "-",
        "_",
        ".",
        "@",
        ",",
        ":",
        "/",
        "'",
        '"',
        "(",
        "\\",
        "\t",
        "\n",
        "é",
        "\u0661",
        "\x00",
        "+",
    ),
    *("a@", "a.", "a-", "a_", "a ", "0.", "0 ", "0-", ", ", "a:", "--", "a--", "T ", "a,", "@.", "a@b.", "ab.cd@"),
)
ENDS = ("", "\x00", "=")


@dataclass(frozen=True)
class Use:
    """A pattern and one way in which the product applies it."""

    where: str
    pattern: re.Pattern
    method: str

    def __call__(self, hostile):
        with_words = ("x", hostile) if self.method in ("sub", "subn") else (hostile,)
        found = getattr(self.pattern, self.method)(*with_words)
        if self.method == "finditer":
            list(found)


def uses():
    """Every use of `re` in the product's modules, by reading them."""
    methods = {}
    for module, source in SOURCES.items():
        for name, node in calls(source):
            if name == "re":
                yield Use(f"{module}:{node.lineno}", re.compile(literal(node.args[0])), node.func.attr)
            else:
                methods.setdefault(name, set()).add(node.func.attr)
    for module in (module for module, source in SOURCES.items() if "re.compile(" in source):
        for name, value in vars(import_module(module)).items():
            if isinstance(value, re.Pattern):
                yield from (Use(f"{module}.{name}", value, method) for method in sorted(methods.get(name, ())))


def calls(source):
    """(whose method, the call) for each call of a method that patterns have."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            yield getattr(node.func.value, "id", None) or getattr(node.func.value, "attr", ""), node


def literal(node):
    """The text of a pattern; what is put into it is a word."""
    if isinstance(node, ast.Constant):
        return node.value
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(part.value if isinstance(part, ast.Constant) else "word" for part in node.values)


USES = tuple(uses())


def test_every_pattern_of_the_product_is_found_with_how_it_is_used():
    compiled = sum(len(re.findall(r"^\w+ = re\.compile\(", source, re.MULTILINE)) for source in SOURCES.values())

    assert compiled >= 30
    assert len({use.where for use in USES if ":" not in use.where}) >= compiled
    assert {"match", "fullmatch", "search", "sub", "split", "findall"} <= {use.method for use in USES}


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where}.{use.method}")
def test_no_pattern_takes_the_square_of_what_it_is_given(use):
    assert [hostile for hostile in hostile_texts(use.pattern.pattern) if growth(use, hostile) > WORST] == []


ENTRANCES: dict[str, Callable[[str], object]] = {
    "masked": text.masked,
    "shown": text.shown,
    "storable": text.storable,
    "scrubbed": telemetry.scrubbed,
    "read_product_query": query.read_product_query,
    "read_customer_query": query.read_customer_query,
    "words": vault.words,
    "normal_phone": vault.normal_phone,
    "since": lambda hostile: api_questions.GapsQuestion().validate({"since": hostile}),
}


@pytest.mark.parametrize("name", ENTRANCES)
def test_no_reader_of_foreign_text_takes_the_square_of_it(name):
    assert [hostile for hostile in hostile_texts("T eyJ") if growth(ENTRANCES[name], hostile) > WORST] == []


def test_the_measure_tells_the_square_from_the_line():
    """Or the tests above would find nothing wrong with anything."""
    assert growth(re.compile(r"\w+@\w+").search, Hostile("a")) > WORST
    assert growth(re.compile(r"\w+").search, Hostile("a")) < WORST


def hostile_texts(pattern):
    own = re.findall(r"[A-Za-z]{2,}[_:/.]*|/[a-z]+/", re.sub(r"\\[a-z]", " ", pattern))
    return [
        Hostile(crumb, end) for crumb in dict.fromkeys((*CRUMBS, *own, *(f"{word}." for word in own))) for end in ENDS
    ]


@dataclass(frozen=True)
class Hostile:
    """A crumb that can be made into text of any length."""

    crumb: str
    end: str = ""

    def of(self, length):
        return self.crumb * (length // len(self.crumb)) + self.end


def growth(do, hostile):
    """How much longer four times the text takes. Measured again, and better, when it looks bad."""
    short, long = hostile.of(SMALL), hostile.of(LARGE)
    worst = float("inf")
    for times in range(1, 5):
        worst = min(worst, seconds(do, long, times) / seconds(do, short, times))
        if worst <= WORST:
            break
    if worst <= WORST and not hostile.end:
        do(hostile.of(HUGE))
    return worst


def seconds(do, hostile, times):
    """Of this thread alone, whatever else the machine does; the shortest of some. No time at all counts as a moment."""
    best = float("inf")
    for _ in range(times):
        begun = time.thread_time()
        do(hostile)
        best = min(best, time.thread_time() - begun)
    return max(best, 5e-6)
