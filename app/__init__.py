"""The front door: webhooks, the JSON API, health, and the command line."""

import logging
import sys

from flask import Flask

from adapters import telemetry
from app import api, cli, health, problems, webhooks
from app.office import open_office
from settings import Settings, settings_or_exit


def create_app() -> Flask:
    """The web process: logs and reports errors."""
    settings = settings_or_exit()
    telemetry.start_logging("web")
    telemetry.start_sentry(settings, "web")
    return build_app(settings)


def create_command_line() -> Flask:
    """`flask …`: stdout belongs to the answer, so nothing is logged there."""
    settings = settings_or_exit()
    telemetry.start_logging("flask", stream=sys.stderr, level=logging.WARNING)
    return build_app(settings)


def build_app(chosen: Settings) -> Flask:
    """The application itself. Opens no connection before one is needed."""
    app = Flask(__name__)
    app.config.update(SECRET_KEY=chosen.secret_key, MAX_CONTENT_LENGTH=None)
    app.extensions["office"] = open_office(chosen)
    for blueprint in (webhooks.blueprint, api.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    problems.register(app)
    cli.register(app)
    return app
