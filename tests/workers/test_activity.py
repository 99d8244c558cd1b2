from sqlalchemy import text

from workers.activity import count_activity
from workers.timetable import DUTIES


def test_the_clock_counts_activity_every_minute():
    assert [duty.every for duty in DUTIES if duty.do is count_activity] == [60.0]


def test_what_happened_is_counted_and_stays_counted(workshop):
    with workshop.db.begin() as db:
        db.execute(text("INSERT INTO shops (domain, state) VALUES ('northwind-trade.myshopify.com', 'active')"))
        db.execute(
            text("""INSERT INTO deliveries (shop, webhook_id, topic, feed, source, lane, state, outcome, triggered_at,
                                            closed_at)
                    VALUES ('northwind-trade.myshopify.com', 'a', 'products/update', 'products', 'webhook', 'live',
                            'closed', 'applied', now(), now())""")
        )

    count_activity(workshop)
    count_activity(workshop)

    with workshop.db.connect() as db:
        row = db.execute(text("SELECT arrived, applied, dead FROM activity")).one()
    assert tuple(row) == (1, 1, 0)
