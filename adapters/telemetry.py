"""Logs as JSON lines, and Sentry: events and their ids, never a body, a name, an address or a token."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import partial
from typing import Any, TextIO
from urllib.parse import urlencode

import orjson
import sentry_sdk
import structlog
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.rq import RqIntegration

from settings import Settings

Event = MutableMapping[str, Any]

# Long words are begun at their start alone: tried at each letter, they would take the square of their length.
_SECRETS = re.compile(
    r"shp[a-z]{2}_\w+|(?<![\w-])(?=[\w-]+\.[\w-]+\.[\w-])[\w-]*?eyJ[\w-]+\.[\w-]+\.[\w-]+"
    r"|Bearer\s+\S+|\bgAAAAA[\w-]+=*"
)
_EMAILS = re.compile(
    r"(?<![^\s@\"'<>:;,(){}\[\]])[^\s@\"'<>:;,(){}\[\]]+@[^\s@\"'<>:;,(){}\[\]]+\.[^\s@\"'<>:;,(){}\[\]]+"
)
# JSON escapes what is below the space. These, too, break lines, move a terminal's cursor or turn its letters round.
_CONTROLS = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_DETAILS = re.compile(r"\b(DETAIL|CONTEXT|HINT):.*", re.DOTALL)


def start_logging(process: str, *, stream: TextIO = sys.stdout, level: int = logging.INFO) -> None:
    """One JSON line an event. Other libraries' lines (RQ, granian) pass through the same scrubbing."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        scrub,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "rq.worker", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def _json(event: Any, **_: Any) -> str:
    line = orjson.dumps(event, default=str).decode()
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def scrub(_logger: Any, _method: str, event: Event) -> Event:
    """The last wall, not the first: whoever logs is expected to log ids. What looks secret or personal is blanked."""
    for key, value in event.items():
        if not key.startswith("_"):  # structlog's own, which no renderer shows
            event[key] = _scrubbed_through(value)
    return event


def _scrubbed_through(value: Any) -> Any:
    """JSON has no exceptions or verdicts: what would be rendered as text is turned into text here, and scrubbed."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {scrubbed(str(key)): _scrubbed_through(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed_through(one) for one in value]
    return scrubbed(value if isinstance(value, str) else str(value))


def scrubbed(text: str) -> str:
    """Without tokens, email addresses, and what Postgres quotes of a row in an error's details."""
    return _DETAILS.sub(r"\1: …", _EMAILS.sub("…@…", _SECRETS.sub("…", text)))


def start_sentry(settings: Settings, process: str) -> None:
    """Errors with shop, topic and delivery id. No bodies, headers, cookies, local variables or request arguments."""
    if not settings.sentry_dsn:
        return
    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        environment=settings.app_env,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=partial(_finish, settings.app_url),
        before_breadcrumb=lambda _crumb, _hint: None,
        # our own errors are sent where they happen; a log line quotes too easily
        integrations=[FlaskIntegration(), RqIntegration(), LoggingIntegration(event_level=None, level=None)],
        server_name=process,
    )


def _finish(app_url: str, event: Any, hint: Any) -> Any:
    """Scrubbed, with the ids of what was at hand, and where the console shows it."""
    event = scrub_event(event, hint)
    at_hand = structlog.contextvars.get_contextvars()
    tags = {name: str(at_hand[name]) for name in _IDS if name in at_hand} | (event.get("tags") or {})
    if link := _link(app_url, tags):
        tags["console"] = link
        event.setdefault("contexts", {})["console"] = {"url": link}
    event["tags"] = tags
    return event


_IDS = ("delivery", "shop", "topic", "lane", "run")


def _link(app_url: str, tags: Mapping[str, str]) -> str | None:
    if "delivery" in tags:
        return f"{app_url}/ops/deliveries/{tags['delivery']}"
    return f"{app_url}/ops/deliveries?{urlencode({'shop': tags['shop']})}" if "shop" in tags else None


def scrub_event(event: Any, _hint: Any) -> Any:
    """Keep where and what kind, drop what it was about."""
    request = event.get("request")
    if request:
        event["request"] = {"method": request.get("method"), "url": str(request.get("url", "")).split("?")[0]}
    for name in ("user", "breadcrumbs", "extra"):
        event.pop(name, None)
    for exception in (event.get("exception") or {}).get("values", ()):
        exception["value"] = scrubbed(str(exception.get("value") or ""))
        for frame in (exception.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    for name in ("message", "transaction"):
        if isinstance(event.get(name), str):
            event[name] = scrubbed(event[name])
    return event


def report(problem: str, **ids: object) -> None:
    """Tell Sentry of something that ended in a row a person must see: ids and our own sentence, nothing else."""
    with sentry_sdk.new_scope() as scope:
        for name, value in ids.items():
            scope.set_tag(name, str(value))
        scope.capture_message(problem, level="error")
