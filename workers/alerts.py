"""Tells on-call engineers by mail or by a signed webhook what they must know, where there is no Prometheus to do it.

1. The clock looks at the stock that was taken and decides which alerts are on, in one transaction.
2. A job of the bulk lane tells them: a mail server or receiver that hangs must not hold up the clock, nor live mail.

Each is told at once, then hourly while it lasts, and once when it is over; anew if it comes back, but not within five
minutes. An attempt is counted before it is made.
"""

import time

import orjson
import redis as redis_client
import structlog
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from adapters import alerts, figures, mail, outgoing, stock
from adapters.alerts import Due
from adapters.breakage import sqlstate, where_it_broke
from adapters.mail import NotSent
from adapters.outgoing import NotTaken
from domain.alerts import KINDS, Window, firing, message, unknown
from workers.gathering import is_the_worlds_fault
from workers.workshop import Workshop, workshop

log = structlog.get_logger()

LANE = "bulk"
TELL_JOB = "workers.alerts.serve"
JOB_SECONDS = 180
QUEUED = "alerts:queued"  # in Redis: a job is queued already; forgotten after a minute
QUEUED_SECONDS = 60
SPELL_SECONDS = 10.0
WINDOW = "alerts:signatures"  # in Redis, beside the counter that it looks at
RECEIVER = "alerts"  # whose secret the webhook is signed with


def watch_for_alerts(workshop: Workshop) -> None:
    """Duty. Without anybody to tell, nothing is looked at."""
    channels = _channels(workshop)
    if not channels:
        return
    failures = _signature_failures(workshop)
    with workshop.db.begin() as db:
        levels = stock.with_what_waits_now(db, stock.read(db)[0])
        facts = stock.facts(levels, failures)
        alerts.note(db, firing(facts), unknown(facts), channels)


def _channels(workshop: Workshop) -> list[str]:
    settings = workshop.settings
    return [name for name, address in (("mail", settings.alert_mail), ("url", settings.alert_url)) if address]


def _signature_failures(workshop: Workshop) -> int | None:
    """Lately, of topics that we know: whoever scans the internet sends no topic. None without Redis."""
    client = workshop.bell.redis
    try:
        counted = figures.read(client)
        known = client.hgetall(WINDOW)
        counter = sum(
            amount
            for (name, _, labels), amount in counted.items()
            if name == figures.INGRESS.name and labels[1] == "401" and labels[0] != "other"
        )
        now = time.time()
        before = (
            Window(*(float(known[key]) for key in (b"mark", b"began", b"before"))) if known else Window(counter, now)
        )
        window = before.moved(counter, now)
        client.hset(WINDOW, mapping={"mark": window.mark, "began": window.began, "before": window.before})
    except redis_client.RedisError:
        return None
    return window.risen(counter)


def wake_for_alerts(workshop: Workshop) -> None:
    """Duty: one job, if something is to be told and none is queued."""
    if not _channels(workshop):
        return
    with workshop.db.connect() as db:
        due = alerts.is_due(db)
    client = workshop.bell.redis
    if due and client.set(QUEUED, 1, nx=True, ex=QUEUED_SECONDS):
        queue = Queue(LANE, connection=client, serializer=JSONSerializer)
        queue.enqueue_call(TELL_JOB, timeout=JOB_SECONDS, result_ttl=0, failure_ttl=86_400)


def forget_old_alerts(workshop: Workshop) -> None:
    with workshop.db.begin() as db:
        alerts.forget(db)


def serve() -> None:
    """RQ job: what is to be told now."""
    shop = workshop(LANE)
    shop.bell.redis.delete(QUEUED)
    until = time.monotonic() + SPELL_SECONDS
    try:
        while time.monotonic() < until and tell_next(shop):
            pass
    except SQLAlchemyError as error:
        log.warning("alerts_broken_off", error=type(error).__name__, sqlstate=sqlstate(error))
    # Whoever rang while this job was the one in the queue took it for a turn's.
    if shop.bell.has_due_mail(LANE):
        shop.bell.wake(LANE)


def tell_next(workshop: Workshop) -> bool:
    """Tell what has been due longest; False if nothing is. No transaction is open meanwhile."""
    with workshop.db.begin() as db:
        due = alerts.claim(db)
    if due is None:
        return False
    trouble = _attempt(workshop, due)
    with workshop.db.begin() as db:
        if trouble is None:
            alerts.told(db, due)
        else:
            alerts.failed(db, due, trouble)
    event = "alert_told" if trouble is None else "alert_not_told"
    log.info(event, alert=due.name, channel=due.channel, firing=due.firing, reason=trouble)
    return True


def _attempt(workshop: Workshop, due: Due) -> str | None:
    """Why it was not taken; None when it was."""
    try:
        if due.channel == "mail":
            _send_mail(workshop, due)
        else:
            _post(workshop, due)
    except (NotSent, NotTaken) as refused:
        return str(refused)
    except Exception as error:
        if is_the_worlds_fault(error):
            raise
        log.error("alert_broken", alert=due.name, reason=where_it_broke(error))  # noqa: TRY400 — its text may quote
        return "It could not be sent because of a fault of this app's."
    return None


def _send_mail(workshop: Workshop, due: Due) -> None:
    settings = workshop.settings
    if settings.smtp_url is None or settings.mail_from is None or settings.alert_mail is None:
        raise NotSent("Mail is not set up on this installation.")
    subject, text = message(due.name, due.sentence, due.since, settings.app_url, is_on=due.firing, again=due.again)
    domain = settings.mail_from.rstrip(">").rpartition("@")[2]
    mail.send(settings.smtp_url, settings.mail_from, settings.alert_mail, subject, text, f"<{_id(due)}@{domain}>")


def _post(workshop: Workshop, due: Due) -> None:
    settings = workshop.settings
    if settings.alert_url is None:
        raise NotTaken("ALERT_URL is not set any more.")
    told = {
        "alert": due.name,
        "state": "firing" if due.firing else "resolved",
        "sentence": due.sentence,
        "since": due.since,
        "url": f"{settings.app_url}{KINDS[due.name].page}",
        "runbook": f"docs/runbook.md#{KINDS[due.name].runbook}",
    }
    body = orjson.dumps(told, option=orjson.OPT_UTC_Z)
    secret = outgoing.secret(settings.secret_key, RECEIVER)
    outgoing.post(settings.alert_url, body, secret, _id(due), local=settings.app_env != "production")


def _id(due: Due) -> str:
    """The same for each attempt at one telling."""
    state = "firing" if due.firing else "resolved"
    before = int(due.told_at.timestamp()) if due.told_at else 0
    return f"alert-{due.name}-{state}-{int(due.since.timestamp())}-{before}"
