"""Telling of a bug without telling what it met: an error's own message may quote a record."""

import traceback
from pathlib import Path

from sqlalchemy.exc import DBAPIError

ROOT = Path(__file__).resolve().parent.parent


def where_it_broke(error: BaseException) -> str:
    """A bug or a refused value, told without its message: that may quote the record."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(ROOT)]
    own = [frame for frame in frames if ".venv" not in frame.filename]
    place = f" at {Path(own[-1].filename).relative_to(ROOT)}:{own[-1].lineno}" if own else ""
    state = f" (SQLSTATE {code})" if (code := sqlstate(error)) else ""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return f"could not be applied: {type(origin).__name__}{state}{place}"


def sqlstate(error: BaseException) -> str | None:
    return getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
