"""The front door: webhooks, the merchant's pages, the JSON API, health, and the command line."""

import logging
import sys

from flask import Flask

from adapters import telemetry
from app import api, cli, hardening, health, ops, pages, problems
from app.door import Door
from app.office import open_office
from settings import BadSettings, Settings, read_settings, settings_or_exit


def create_app() -> Flask:
    """The web process: logs and reports errors."""
    settings = settings_or_exit()
    telemetry.start_logging("web")
    telemetry.start_sentry(settings, "web")
    return build_app(settings)


def create_command_line() -> Flask:
    """`flask …`: stdout belongs to the answer, so nothing is logged there.

    `--help` and `ops hash-password` need no environment, and are what somebody asks who has none yet.
    """
    telemetry.start_logging("flask", stream=sys.stderr, level=logging.WARNING)
    try:
        return build_app(read_settings())
    except BadSettings as problems:
        app = Flask(__name__)
        app.extensions["office"] = problems
        cli.register(app)
        return app


def build_app(chosen: Settings) -> Flask:
    """The application itself. Opens no connection before one is needed."""
    app = Flask(__name__)
    desk = app.extensions["office"] = open_office(chosen)
    for blueprint in (api.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    hardening.register(app, chosen)
    problems.register(app)
    pages.register(app)
    ops.register(app)
    cli.register(app)
    app.wsgi_app = Door(desk, app.wsgi_app, hardening.headers(chosen))  # type: ignore[method-assign]  # Flask's own advice
    return app
