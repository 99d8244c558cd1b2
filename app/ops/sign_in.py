"""In with name and password, and out again."""

import structlog
from flask import Blueprint, Response, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.ops import entrance, frame
from app.other_sites import refuse_other_sites

log = structlog.get_logger()
blueprint = Blueprint("ops_door", __name__, url_prefix="/ops")
entrance.dress(blueprint)
LONGEST_PASSWORD = 1_000  # each one costs a hash


@blueprint.before_request
def look_first() -> None:
    entrance.refuse_if_shut()
    refuse_other_sites()


@blueprint.get("/sign-in")
def sign_in() -> Response:
    return frame.page("sign_in.html", title="Sign in", wrong=False, name="")


@blueprint.post("/sign-in")
def let_in() -> AnyResponse:
    name, password = request.form.get("name", ""), request.form.get("password", "")
    person = entrance.check(name, password) if len(password) <= LONGEST_PASSWORD else None
    if person is None:
        log.warning("ops_sign_in_refused", address=request.remote_addr)
        return frame.page("sign_in.html", title="Sign in", status=401, wrong=True, name=name[: entrance.LONGEST_NAME])
    log.info("ops_signed_in", who=person.name, role=person.role, address=request.remote_addr)
    response = redirect(_wanted(), 303)
    entrance.remember(response, person)
    return response


@blueprint.post("/sign-out")
def let_out() -> AnyResponse:
    """A viewer's as well: nothing is changed but their own cookie."""
    person = entrance.remembered()
    if person is not None:
        g.person = person
        entrance.refuse_foreign_form(person)
    response = redirect(url_for("ops_door.sign_in"), 303)
    entrance.forget(response)
    return response


def _wanted() -> str:
    """Back to where they wanted to go, but nowhere else than into the console."""
    wanted = request.args.get("next", "")
    inside = wanted == "/ops" or wanted.startswith(("/ops/", "/ops?"))
    return wanted if inside and "\\" not in wanted and wanted.isprintable() else url_for("ops_now.show")
