"""A form is read whole or not at all, and what is wrong is said beside its field."""

import pytest

from schemas.shop_settings import Bounds, read

BOUNDS = Bounds(least_seconds=60, reconcile_seconds=600, complete_run_seconds=3_600, plain_http=False, mail=True)


def of(bounds=BOUNDS, **typed):
    return read({"tag": "b2b"} | typed, bounds)


def test_what_is_left_empty_is_as_for_everybody():
    values, errors = of()

    assert errors == {}
    assert values == {
        "tag": "b2b",
        "ignored_keys": frozenset(),
        "reconcile_seconds": None,
        "complete_run_seconds": None,
        "notify_mail": None,
        "notify_url": None,
        "notify_after_minutes": 30,
    }


def test_values_are_trimmed_and_parted():
    values, _ = of(tag="  Whole sale ", ignored_keys="group,\r\n sparklayer.authentication  group")

    assert values["tag"] == "Whole sale"
    assert values["ignored_keys"] == {"group", "authentication"}


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("tag", ""),
        ("tag", "  \x00 "),
        ("tag", "b2b, trade"),
        ("tag", "x" * 256),
        ("ignored_keys", "a"),
        ("ignored_keys", "not/a/key"),
        ("ignored_keys", ", ".join(f"key_{n}" for n in range(16))),
        ("reconcile_seconds", "59"),
        ("reconcile_seconds", "86401"),
        ("reconcile_seconds", "-60"),
        ("complete_run_seconds", "often"),
        ("notify_after_minutes", "4"),
        ("notify_after_minutes", "1441"),
        ("notify_after_minutes", "soon"),
        ("notify_mail", "ops"),
        ("notify_mail", "ops@example.com, boss@example.com"),
        ("notify_mail", "ops@example.com\r\nBcc: all@example.com"),
        ("notify_url", "http://hooks.example/x"),
        ("notify_url", "https://user:secret@hooks.example/x"),
        ("notify_url", "https:///x"),
        ("notify_url", "https://hooks.example:0/x"),
        ("notify_url", "https://[::1/x"),
        ("notify_url", "javascript:alert(1)"),
        ("notify_url", "https://hooks.example/a b"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(field, typed):
    values, errors = of(**{field: typed})

    assert values == {}
    assert list(errors) == [field]


def test_every_problem_is_told_at_once():
    _, errors = of(tag="a,b", notify_mail="ops", notify_after_minutes="soon")

    assert errors.keys() == {"tag", "notify_mail", "notify_after_minutes"}


@pytest.mark.parametrize("typed", [{"complete_run_seconds": "300"}, {"reconcile_seconds": "7200"}])
def test_everything_is_not_compared_more_often_than_changes_are_looked_for(typed):
    _, errors = of(**typed)

    assert list(errors) == ["complete_run_seconds"]


def test_without_a_mail_server_no_address_can_be_chosen():
    _, errors = of(Bounds(60, 600, 3_600, plain_http=False, mail=False), notify_mail="ops@example.com")

    assert "not set up" in errors["notify_mail"]


def test_outside_production_plain_http_and_short_intervals_are_allowed():
    values, errors = of(
        Bounds(1, 5, 10, plain_http=True, mail=True), notify_url="http://127.0.0.1:9000/x", reconcile_seconds="5"
    )

    assert errors == {}
    assert (values["notify_url"], values["reconcile_seconds"]) == ("http://127.0.0.1:9000/x", 5)
