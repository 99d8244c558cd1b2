"""Tells merchants whose feed is not green for longer than they wish, and again when it is.

1. The clock decides, in one transaction: which trouble is told is written with the notice itself, so that no trouble is
   told twice, however many clocks there are.
2. A job of the bulk lane sends: a mail server or receiver that hangs must not hold up the clock, nor live mail.

Sent at least once: an attempt is counted before it is made, and a worker that dies between sending and noting it sends
again. An alarm that nobody heard would be worse than one heard twice; each carries an id that is the same then.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from adapters import feed_watch, mail, notices, outgoing, shop_settings
from adapters.breakage import sqlstate, where_it_broke
from adapters.feed_watch import Watched
from adapters.mail import NotSent
from adapters.notices import Notice
from adapters.outgoing import NotTaken
from adapters.vault import WrongKeys
from domain.feed_state import FeedState, state_of
from domain.notices import mail_of
from workers.gathering import is_the_worlds_fault
from workers.workshop import Workshop, workshop

log = structlog.get_logger()

LANE = "bulk"
SEND_JOB = "workers.notices.serve"
JOB_SECONDS = 180
QUEUED = "notices:queued"  # in Redis: a job is queued already; forgotten after a minute
QUEUED_SECONDS = 60
SPELL_SECONDS = 10.0  # then the job makes room for mail and runs


def watch_feeds(workshop: Workshop) -> None:
    """Duty: who left green, whose patience has ended, who is green again."""
    now, every = datetime.now(UTC), timedelta(seconds=workshop.settings.reconcile_seconds)
    with workshop.db.begin() as db:
        feed_watch.forget_unwatched(db)
        judged = [(one, state_of(one.facts, now)) for one in feed_watch.watched(db, every)]
        feed_watch.left_green(db, [one for one, state in judged if state.state != "ok" and one.since is None])
        for one, state in judged:
            if one.since is not None:
                _tell(db, one, state, one.since, now)


def _tell(db: Connection, one: Watched, state: FeedState, since: datetime, now: datetime) -> None:
    if state.state == "ok":
        is_news = feed_watch.is_green_again(db, one)
    else:
        is_news = now - since >= one.patience and feed_watch.may_tell(db, one)
    if is_news:
        told = {"state": state.state, "reason": state.reason, "sentence": state.sentence, "since": since}
        notices.write(db, one.shop, one.channels, one.facts.feed, told)
        log.info("feed_told", shop=one.shop, feed=one.facts.feed, state=state.state, reason=state.reason)


def wake_for_notices(workshop: Workshop) -> None:
    """Duty: one job, if a notice is due and none is queued."""
    with workshop.db.connect() as db:
        due = notices.is_due(db)
    redis = workshop.bell.redis
    if due and redis.set(QUEUED, 1, nx=True, ex=QUEUED_SECONDS):
        queue = Queue(LANE, connection=redis, serializer=JSONSerializer)
        queue.enqueue_call(SEND_JOB, timeout=JOB_SECONDS, result_ttl=0, failure_ttl=86_400)


def serve() -> None:
    """RQ job: due notices, for a short spell."""
    shop = workshop(LANE)
    shop.bell.redis.delete(QUEUED)
    until = time.monotonic() + SPELL_SECONDS
    try:
        while time.monotonic() < until and send_next(shop):
            pass
    except SQLAlchemyError as error:
        log.warning("notices_broken_off", error=type(error).__name__, sqlstate=sqlstate(error))
    # Whoever rang while this job was the one in the queue took it for a turn's.
    if shop.bell.has_due_mail(LANE):
        shop.bell.wake(LANE)


def send_next(workshop: Workshop) -> bool:
    """Send the notice that has been due longest; False if none is. No transaction is open while it is sent."""
    with workshop.db.begin() as db:
        notice = notices.claim(db)
    if notice is None:
        return False
    trouble = _attempt(workshop, notice)
    with workshop.db.begin() as db:
        if trouble is None:
            notices.sent(db, notice)
        else:
            notices.failed(db, notice, trouble)
    facts = {"shop": notice.shop, "notice": notice.id, "channel": notice.channel}
    log.info("notice_sent" if trouble is None else "notice_failed", **facts, attempt=notice.attempts, reason=trouble)
    return True


def _attempt(workshop: Workshop, notice: Notice) -> str | None:
    """Why it was not taken; None when it was. A bug costs this notice an attempt and nobody else's anything."""
    try:
        with workshop.db.connect() as db:
            wishes = shop_settings.read(db, workshop.vault, notice.shop)
        address = wishes.notify_mail if notice.channel == "mail" else wishes.notify_url
        if address is None:
            return "Nobody is to be told this way any more."
        if notice.channel == "mail":
            _send_mail(workshop, notice, address, wishes.notify_after_minutes)
        else:
            _post(workshop, notice, address)
    except (NotSent, NotTaken, WrongKeys) as refused:
        return str(refused)
    except Exception as error:
        if is_the_worlds_fault(error):
            raise
        log.error("notice_broken", notice=notice.id, reason=where_it_broke(error))  # noqa: TRY400 — its text may quote
        return "It could not be sent because of a fault of this app's."
    return None


def _send_mail(workshop: Workshop, notice: Notice, address: str, patience_minutes: int) -> None:
    settings = workshop.settings
    if settings.smtp_url is None or settings.mail_from is None:
        raise NotSent("Mail is not set up on this installation.")
    subject, text = mail_of(notice.shop, notice.feed, notice.told, settings.app_url, patience_minutes)
    domain = settings.mail_from.rstrip(">").rpartition("@")[2]
    message_id = f"<notice-{notice.id}-{notice.made_at:%Y%m%d%H%M%S}@{domain}>"
    mail.send(settings.smtp_url, settings.mail_from, address, subject, text, message_id)


def _post(workshop: Workshop, notice: Notice, address: str) -> None:
    settings = workshop.settings
    body = orjson.dumps(_body(notice, settings.app_url))
    secret = outgoing.secret(settings.secret_key, notice.shop)
    outgoing.post(address, body, secret, f"notice-{notice.id}", local=settings.app_env != "production")


def _body(notice: Notice, app_url: str) -> Mapping[str, Any]:
    """The contract with receivers."""
    told = {name: notice.told.get(name) for name in ("state", "reason", "sentence", "since")}
    page = f"{app_url}/{notice.feed or 'settings'}?shop={notice.shop}"
    return {"shop": notice.shop, "feed": notice.feed, **told, "url": page}
