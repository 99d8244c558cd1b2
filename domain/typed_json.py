"""JSON as a merchant types it into a metafield: parsed strictly, with a place and a reason when it does not parse."""

import json
import math
import re
from typing import Any, NoReturn

from domain.text import SNIPPET

_CURLY_QUOTES = re.compile("[\u201c-\u201f\u2018-\u201b\xab\xbb]")
_TRAILING_COMMA = re.compile(r",\s*$")


class NotJsonError(ValueError):
    """`line` and `column` count from 1; `around` is the text about that place."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        start = max(0, position - SNIPPET // 2)
        self.around = text[start : start + SNIPPET]


def parse(text: str) -> Any:
    """The value that the text means. NaN, Infinity and numbers too large to hold are refused: they are not JSON.

    Raises NotJsonError.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise NotJsonError(_problem(text, error), text, error.pos) from None
    except RecursionError:
        raise NotJsonError("it is nested too deeply", text, 0) from None
    except ValueError as error:  # ours, or an integer of more digits than Python reads
        problem = str(error) if isinstance(error, _RefusedError) else "a number is too long"
        raise NotJsonError(problem, text, 0) from None


class _RefusedError(ValueError):
    pass


def _refuse_constant(word: str) -> NoReturn:
    raise _RefusedError(f"{word} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _RefusedError("a number is too large")
    return value


def _problem(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "it is empty"
    if _CURLY_QUOTES.match(text, error.pos):
        return 'curly quotes were used; JSON needs straight ones (")'
    if text[error.pos : error.pos + 1] == "'":
        return 'single quotes were used; JSON needs double ones (")'
    if _closes_after_comma(text, error.pos):
        return "there is a comma before the closing bracket"
    if error.pos >= len(text.rstrip()):
        return "it ends too early; a bracket or quote is not closed"
    return error.msg[0].lower() + error.msg[1:]


def _closes_after_comma(text: str, position: int) -> bool:
    # Python's reports point at the bracket, or (since 3.13) at the comma before it
    before, after = text[:position], text[position:].lstrip(", \t\r\n")
    return after[:1] in {"]", "}"} and bool(_TRAILING_COMMA.search(before[-SNIPPET:]) or text[position] == ",")
