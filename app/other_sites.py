"""A form on somebody else's page must not act with our cookies."""

from flask import request
from werkzeug.exceptions import Forbidden

from app.office import office

SAFE = ("GET", "HEAD", "OPTIONS")


def refuse_other_sites() -> None:
    """Browsers say where a request comes from; what is no browser has no cookie that it was tricked into sending.

    https://developer.mozilla.org/en-US/docs/Web/Security/Attacks/CSRF#fetch_metadata
    """
    if request.method in SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        genuine = site in ("same-origin", "none")
    else:
        genuine = origin is None or origin in (request.host_url.rstrip("/"), office().settings.app_url)
    if not genuine:
        raise Forbidden("This form was sent from another site. Open the page again and repeat it there.")
