"""The merchant's pages, rendered here: what works without JavaScript is then made quicker with it."""

from flask import Flask
from werkzeug.routing import BaseConverter

from app.pages import activity, auth, base, feeds, issues, lookup, settings


class FeedConverter(BaseConverter):
    regex = "products|customers"


def register(app: Flask) -> None:
    app.url_map.converters["feed"] = FeedConverter
    base.register(app)
    for room in (auth, feeds, lookup, issues, activity, settings):
        app.register_blueprint(room.blueprint)
    for code in (404, 405):  # no blueprint is asked about an address that nobody knows
        app.register_error_handler(code, base.error_page)
