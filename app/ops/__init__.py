"""The console at `/ops`: for whoever is woken at night. What works without JavaScript is then made quicker with it."""

from flask import Flask

from app.ops import (
    audit,
    deliveries,
    delivery,
    entrance,
    frame,
    issues,
    now,
    rejected,
    replays,
    runs,
    shops,
    sign_in,
    subscriptions,
    workers,
)

ROOMS = (now, issues, deliveries, delivery, rejected, replays, runs, shops, subscriptions, workers, audit, sign_in)


def register(app: Flask) -> None:
    frame.register(app)
    app.jinja_env.globals["form_token"] = entrance.form_token
    for room in ROOMS:
        app.register_blueprint(room.blueprint)
