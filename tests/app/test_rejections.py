"""What is turned away at the front door is seen by an engineer, and which secret verified the rest."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import redis as redis_client

from adapters import rejections, signatures
from adapters.rejections import Rejection, Rejections
from adapters.signatures import Signatures, digest, secrets_in_use
from devstore.servers import free_port

SHOP = "northwind-trade.myshopify.com"
NOW = datetime.now(UTC)


@pytest.fixture
def desk(app):
    return app.extensions["office"]


def rejection(n=0):
    return Rejection(NOW, 401, f"cause {n}", SHOP, "products/update", f"webhook-{n}", 3, "ab")


@pytest.fixture
def away():
    """A client of a Redis that is not there."""
    with redis_client.Redis(port=free_port(), socket_connect_timeout=0.2) as client:
        yield client


def test_a_forged_delivery_leaves_what_it_claimed_to_be_and_the_digest_of_its_body(door, desk, redis, wait_for):
    body = b'{"id": 5, "email": "jane@example.com"}'

    door.post(body, secret="somebody else's", webhook_id="forged")

    (found,) = wait_for(lambda: rejections.latest(redis))
    assert (found["status"], found["shop"], found["topic"], found["webhook_id"]) == (
        401,
        SHOP,
        "products/update",
        "forged",
    )
    assert (found["length"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert "signature" in found["cause"]
    assert abs(found["at"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert b"jane" not in redis.lindex(rejections.KEY, 0)


@pytest.mark.parametrize(
    ("knock", "status"),
    [
        ({"omit": ["Webhook-Id"]}, 400),
        ({"omit": ["Topic"]}, 400),
        ({"shop_domain": "example.com"}, 400),
        ({"omit": ["Hmac-Sha256"]}, 401),
    ],
)
def test_every_cause_is_kept(door, redis, wait_for, knock, status):
    door.post({"id": 5}, **knock)

    (found,) = wait_for(lambda: rejections.latest(redis))
    assert (found["status"], found["length"]) == (status, len(b'{"id": 5}'))


def test_a_body_too_large_to_be_read_has_a_length_and_no_digest(door, desk, redis, wait_for):
    size = desk.settings.max_body_bytes + 1

    assert door.post(b"x" * size).status_code == 413

    (found,) = wait_for(lambda: rejections.latest(redis))
    assert (found["status"], found["length"], found["sha256"]) == (413, size, None)


def test_a_genuine_delivery_is_not_among_them(door, redis, wait_for):
    door.post({"id": 5})
    door.post({"id": 5}, secret="somebody else's", webhook_id="forged")

    assert [one["webhook_id"] for one in wait_for(lambda: rejections.latest(redis))] == ["forged"]


def test_only_the_latest_are_kept(redis):
    kept = Rejections(redis)

    for n in range(rejections.KEPT + 50):
        kept.note(rejection(n))
        if not kept.has_room():
            kept.hand_over()
    kept.hand_over()

    found = rejections.latest(redis, 10_000)
    assert len(found) == rejections.KEPT
    assert found[0]["webhook_id"] == f"webhook-{rejections.KEPT + 49}"


def test_a_flood_is_not_hashed_nor_kept_beyond_a_bound(redis):
    kept = Rejections(redis)

    for n in range(rejections.AT_ONCE + 50):
        kept.note(rejection(n))
    full = kept.has_room()
    kept.hand_over()

    assert (full, len(rejections.latest(redis, 10_000)), kept.has_room()) == (False, rejections.AT_ONCE, True)


def test_while_redis_is_away_they_are_dropped_and_nothing_fails(away):
    kept = Rejections(away)
    kept.note(rejection())

    kept.hand_over()

    assert kept.has_room()


# -- which secret


CURRENT, PREVIOUS = "current-secret", "previous-secret"
BOTH = (CURRENT, PREVIOUS)


def test_each_secret_that_verifies_is_counted(door, desk, redis, wait_for):
    old = desk.settings.webhook_secrets[1]
    door.post({"id": 1})
    door.post({"id": 2})
    door.post({"id": 3}, secret=old)

    def used():
        current, previous = secrets_in_use(redis, desk.settings.webhook_secrets, datetime.now(UTC))
        return current.last_hour + previous.last_hour == 3 and (current, previous)

    current, previous = wait_for(used)
    assert (current.last_hour, previous.last_hour) == (2, 1)
    assert abs(previous.last_at - datetime.now(UTC)) < timedelta(minutes=2)
    assert (current.safe_to_remove, previous.safe_to_remove) == (False, False)
    assert old.encode() not in b"".join(redis.keys())


def use(redis, place=0, secrets=BOTH):
    counted = Signatures(redis, secrets)
    counted.note(place)
    counted.hand_over()


def test_the_hour_goes_by_and_the_last_time_stays(redis):
    use(redis)

    current, _ = secrets_in_use(redis, BOTH, NOW + timedelta(hours=2))

    assert current.last_hour == 0
    assert current.last_at is not None


def test_after_a_rotation_a_secret_keeps_its_own_count(redis):
    use(redis, 0, ("before",))

    new, old = secrets_in_use(redis, ("after", "before"), datetime.now(UTC))

    assert (new.last_hour, old.last_hour, old.digest) == (0, 1, digest("before"))


def test_an_old_secret_is_safe_to_remove_after_two_quiet_days_if_the_new_one_works(redis):
    use(redis, 1)
    in_three_days = datetime.now(UTC) + timedelta(days=3)

    only_the_old_one_ever = secrets_in_use(redis, BOTH, in_three_days)[1].safe_to_remove
    use(redis, 0)
    soon = secrets_in_use(redis, BOTH, datetime.now(UTC))[1].safe_to_remove
    later = secrets_in_use(redis, BOTH, in_three_days)[1].safe_to_remove

    assert (only_the_old_one_ever, soon, later) == (False, False, True)


def test_with_nothing_counted_nothing_is_called_safe(redis):
    assert [one.safe_to_remove for one in secrets_in_use(redis, BOTH, NOW)] == [False, False]


def test_what_redis_could_not_take_is_kept_for_the_next_time(redis, away):
    counted = Signatures(away, BOTH)
    counted.note(0)
    counted.hand_over()

    counted._redis = redis
    counted.hand_over()

    assert secrets_in_use(redis, BOTH, datetime.now(UTC))[0].last_hour == 1
    assert redis.ttl(f"signatures:{int(datetime.now(UTC).timestamp()) // 60}") <= signatures.KEPT_SECONDS
