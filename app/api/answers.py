"""JSON as every answer has it: ids stay integers of any size, times end in Z."""

from typing import Any

import orjson
from flask import Response, current_app


def as_json(value: Any, status: int = 200) -> Response:
    return current_app.response_class(dump(value), status, mimetype="application/json")


def dump(value: Any, *, indent: bool = False) -> bytes:
    option = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, option=option)
