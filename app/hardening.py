"""What every answer carries and every body is limited to, whichever room it is for: errors and files included."""

from collections.abc import Mapping

from flask import Flask, Response, request

from app.problems import problem
from settings import Settings

MOST_BODY_BYTES = 64 * 1024  # of a form or an API's question; a webhook's cap is a setting
# For whatever is no page: nothing in it is ever run, framed or sent anywhere. Pages bring a policy of their own.
NOTHING_RUNS = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
TWO_YEARS = 63_072_000  # seconds


def headers(settings: Settings) -> Mapping[str, str]:
    """Of every answer that brings none of these itself."""
    always = {
        "Content-Security-Policy": NOTHING_RUNS,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if settings.app_url.startswith("https://"):
        # This host alone: what else lies under its domain is not ours to decide about.
        always["Strict-Transport-Security"] = f"max-age={TWO_YEARS}"
    return always


def register(app: Flask, settings: Settings) -> None:
    always = headers(settings)

    def finish(answer: Response) -> Response:
        for name, value in always.items():
            answer.headers.setdefault(name, value)
        return answer

    # An address with a slash too many is not found. To be sent to the right one, it would be made of the Host that the
    # request claims.
    app.url_map.merge_slashes = False
    app.before_request(refuse_what_cannot_be_read)
    app.before_request(limit_body)
    app.after_request(finish)


def refuse_what_cannot_be_read() -> Response | None:
    """Werkzeug decodes an address when somebody looks at it, and raises; error pages look at it, too."""
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        return problem(400, "Bad request", "The address is not UTF-8 text.")
    return None


def limit_body() -> None:
    """Before anything reads it: a form's files would otherwise be written to disk as long as they come."""
    request.max_content_length = MOST_BODY_BYTES
