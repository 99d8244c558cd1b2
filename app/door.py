"""`/webhooks`, answered before Flask has a look: the one address that is asked thousands of times a second.

Flask's routing, contexts and hooks were two thirds of a webhook's CPU (240 µs, now 80), and nothing here needs them: no
form, no cookie, no page. Whatever is asked at another address goes on to Flask.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import sentry_sdk
import structlog

from adapters.breakage import where_it_broke
from app.office import Office
from app.webhooks import Answer, receive

log = structlog.get_logger()
ADDRESS = "/webhooks"


class Door:
    """`always` are the headers of every answer."""

    def __init__(self, desk: Office, further: WSGIApplication, always: Mapping[str, str]) -> None:
        self._desk = desk
        self._further = further
        self._always = list(always.items())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != ADDRESS:
            return self._further(environ, start_response)
        answer = self._answer(environ)
        content = f"{answer.sentence}\n".encode()
        described = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(content)))]
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start_response(status, [*described, *self._always, *answer.headers.items()])
        return [content]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if environ["REQUEST_METHOD"] != "POST":
            return Answer(405, "Webhooks are sent by POST.", {"Allow": "POST"})
        try:
            return receive(self._desk, environ)
        except Exception as error:  # noqa: BLE001 — a bug of ours; Shopify tries again, and somebody is told
            log.error("webhook_failed", reason=where_it_broke(error))  # noqa: TRY400 — its text may quote the body
            sentry_sdk.capture_exception(error)
            return Answer(500, "The inbox failed. Send this again.")
