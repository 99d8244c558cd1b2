import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import text

from adapters import activity
from app.pages.activity import within
from domain.activity import Within

SHOP = "northwind-trade.myshopify.com"
OTHER = "contoso-outdoor.myshopify.com"
MEASURES = ("arrived", "applied", "filtered", "repaired", "dead")


@pytest.fixture
def office(app, install):
    install()
    return app.extensions["office"]


@pytest.fixture
def hour(office):
    """hour(ago, **counts): what an hour of the products feed came to."""

    def write(ago, shop=SHOP, freshness=(0,) * 17, **counts):
        at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=ago)
        values = {"shop": shop, "hour": at, "freshness": list(freshness)} | dict.fromkeys(MEASURES, 0) | counts
        with office.db.begin() as db:
            db.execute(
                text("""INSERT INTO activity VALUES (:shop, 'products', :hour, :arrived, :applied, :filtered, :dead,
                                                     :repaired, :freshness)"""),
                values,
            )

    return write


@pytest.fixture
def gap(office):
    """gap(record, cause): a run repaired it just now."""

    def write(record, cause="never_delivered", shop=SHOP, feed="products"):
        with office.db.begin() as db:
            db.execute(
                text("""INSERT INTO gaps (shop, feed, resource_id, cause, changed_at, run, topic)
                        VALUES (:shop, :feed, :record, :cause, now() - interval '5 minutes', 12, 'products/update')"""),
                {"shop": shop, "feed": feed, "record": record, "cause": cause},
            )

    return write


@pytest.fixture
def visit(app, session_token):
    def get(feed="products", shop=SHOP):
        headers = {"Authorization": f"Bearer {session_token(shop)}"}
        answer = app.test_client().get(f"/{feed}/activity", headers=headers)
        assert answer.status_code == 200
        return answer.text

    return get


def pictures(page):
    """{(step, measure): its title, words and number of bars}, read as a browser's helper reads it."""
    found = {}
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        root = ET.fromstring(svg)
        assert root.get("role") == "img"
        title, words = (next(child for child in root if child.tag == tag) for tag in ("title", "desc"))
        assert root.get("aria-labelledby") == f"{title.get('id')} {words.get('id')}"
        step, measure, _ = title.get("id").split("-")
        bars = [child for child in root if child.tag == "rect"]
        found[step, measure] = (title.text, words.text, len(bars))
    return found


def tables(page):
    """Of each table: its rows as lists of words."""
    rows = []
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        lines = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        rows.append([[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.split(r"</t[hd]>", line)] for line in lines])
    return rows


def test_before_anything_happened_the_page_says_what_will_appear(office, visit):
    page = visit()

    assert page.count("Nothing happened") == 2
    assert "Nothing to measure yet" in page
    assert "No change had to be repaired" in page


def test_each_measure_is_a_picture_of_the_day_and_of_the_month(hour, visit):
    hour(1, arrived=12_345, applied=40, filtered=3, dead=1, repaired=2)
    hour(3, arrived=10)

    found = pictures(visit())

    assert found.keys() == {(step, measure) for step in ("hour", "day") for measure in MEASURES}
    title, words, bars = found["hour", "arrived"]
    assert title == "Webhooks that arrived"
    assert words.startswith("12,355 in all. The most in one hour: 12,345, ")
    assert bars == 2
    assert found["hour", "dead"][2] == 1


def test_pictures_differ_by_pattern_and_words_and_not_by_colour_alone(hour, visit):
    hour(1, arrived=9, applied=4, filtered=3, dead=1, repaired=2)

    page = visit()

    for measure in ("filtered", "repaired", "dead"):
        assert f'<pattern id="hour-{measure}-fill"' in page
        assert f'fill="url(#hour-{measure}-fill)"' in page
    assert "style=" not in page


def test_behind_the_pictures_stands_a_table_with_the_same_numbers(hour, visit):
    hour(0, arrived=1)
    hour(1, arrived=12_345, applied=40, filtered=3, dead=1, repaired=2)

    by_hour, by_day, *_ = tables(visit())

    assert len(by_hour) == 1 + 24 + 1
    assert len(by_day) == 1 + 30 + 1
    assert by_hour[-3][1:6] == ["12,345", "40", "3", "2", "1"]
    assert by_hour[-1][:6] == by_day[-1][:6] == ["Total", "12,346", "40", "3", "2", "1"]


def test_hours_and_days_are_the_shops_own(office, hour, visit):
    with office.db.begin() as db:
        db.execute(text("UPDATE shops SET time_zone = 'Asia/Kolkata'"))
    hour(1, arrived=5)

    by_hour, by_day, *_ = tables(visit())

    assert all(re.fullmatch(r"\w{3} \d\d:30", line[0]) for line in by_hour[1:-1])
    assert sum(int(line[1]) for line in by_day[1:-1]) == 5


def test_freshness_is_told_as_exactly_as_it_is_known(hour, visit):
    hour(1, arrived=100, freshness=(0, 0, 0, 60, 0, 36, 0, 0, 4, *[0] * 8))

    freshness = tables(visit())[2]

    assert freshness[1][:5] == ["The last 24 hours", "0.5 to 1 s", "2 to 5 s", "30 s to 1 min", "100"]


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (None, "not yet known"),
        (Within(0, 0.1), "less than 0.1 s"),
        (Within(60, 120), "1 to 2 min"),
        (Within(1800, 3600), "30 min to 1 h"),
        (Within(14400, 86400), "4 h to 1 day"),
        (Within(86400, None), "a day or more"),
    ],
)
def test_spans_are_words(span, words):
    assert within(span) == words


def test_gaps_are_told_by_cause_and_lead_to_their_records(gap, visit):
    gap(7001)
    gap(7002)
    gap(7003, "no_webhook")
    gap(9001, feed="customers")

    page = visit()

    assert "<strong>2 times:</strong> Shopify never delivered the webhook." in page
    assert "<strong>Once:</strong> Shopify sends no webhook for such a change." in page
    for record in (7001, 7002, 7003):
        assert f'href="/products/{record}?' in page
    assert "9001" not in page
    assert "9001" in visit("customers")


def test_a_shop_sees_its_own_activity_alone(install, hour, gap, visit):
    install(OTHER)
    hour(1, arrived=77_777)
    gap(7001)

    page = visit(shop=OTHER)

    assert "77,777" not in page
    assert "7001" not in page


def test_what_came_through_the_door_is_on_the_page_after_the_duty(office, door, product, take_turns, visit):
    door.post(product())
    take_turns()
    with office.db.begin() as db:
        activity.roll_up(db)

    found = pictures(visit())

    assert found["hour", "arrived"][1].startswith("1 in all.")
    assert found["hour", "applied"][1].startswith("1 in all.")
