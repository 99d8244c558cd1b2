"""Workers and queues: who is there, what they are at, and which of RQ's jobs broke off."""

from datetime import UTC, datetime

import redis
from flask import Response, redirect, request, url_for
from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response as AnyResponse

from adapters import audit, overview, stock, workforce
from adapters.bell import LANES
from app.office import office
from app.ops.acts import who
from app.ops.entrance import console
from app.ops.frame import page
from app.ops.now import lanes_of

blueprint = console("ops_workers", __name__)


@blueprint.get("/workers")
def show() -> Response:
    client = office().redis
    try:
        hands, failed = workforce.hands(client), workforce.failed_jobs(client)
        queued, is_away = office().bell.state(), False
    except redis.RedisError:
        hands, failed, queued, is_away = [], [], {}, True
    with office().db.connect() as db:
        lanes = lanes_of(stock.with_what_waits_now(db, stock.read(db)[0]))
        duties = overview.duties(db)
    now = datetime.now(UTC)
    return page(
        "workers.html",
        title="Workers and queues",
        tab="workers",
        is_away=is_away,
        hands=[(hand, hand.is_silent(now)) for hand in hands],
        failed=failed,
        lanes=[(lane, lanes[lane], queued.get(lane)) for lane in LANES],
        duties=duties,
    )


@blueprint.post("/workers/jobs/<lane>/<job_id>")
def act(lane: str, job_id: str) -> AnyResponse:
    """Requeue a failed job of RQ, or delete it. Neither touches a delivery: a job is only the bell."""
    word = request.form.get("act", "")
    if lane not in LANES:
        raise NotFound("There is no such lane.")
    if word not in ("requeue", "delete"):
        raise BadRequest("This form is not complete. Open the page again.")
    do = workforce.requeue if word == "requeue" else workforce.delete
    try:
        done = do(office().redis, lane, job_id)
    except redis.RedisError:
        return redirect(url_for("ops_workers.show", said="redis_away"), 303)
    if done:
        with office().db.begin() as db:
            audit.note(db, who(), f"job {word}d", target=f"{lane} {job_id}"[:200])
    return redirect(url_for("ops_workers.show", said=f"{word}d" if done else "job_gone"), 303)
