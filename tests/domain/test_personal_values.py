"""An issue may be shown, logged and exported; nothing personal may stand in one."""

from dataclasses import astuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalogue import render
from domain.customer_checks import check_customer
from domain.eligibility import Rule
from domain.metafields import CUSTOMER_KEYS
from domain.text import masked

PERSONAL = ("Maja-Lena Q.", "Lindqvist", "+46 70 123 45 67", "Storgatan 1", "maja@lindqvist.example")


def said(customer):
    return " ".join(repr(astuple(issue)) + repr(render(issue)) for issue in check_customer(customer, Rule()))


def test_a_broken_email_address_is_masked(customer):
    found = check_customer(customer(email="maja lindqvist@home"), Rule())

    assert found[0].snippet == "m…@…"
    assert "lindqvist" not in said(customer(email="maja lindqvist@home"))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from(sorted(CUSTOMER_KEYS)) | st.text(max_size=5),
    value=st.sampled_from(PERSONAL),
    wrapped=st.sampled_from(["{}", '"{}"', '["{}",]', '{{"credit_limit":"{}"}}', '["{}", 7]', "[{}"]),
)
def test_a_personal_value_in_the_wrong_place_is_not_repeated(customer, key, value, wrapped):
    first, last, phone, line1, email = PERSONAL
    someone = customer(
        first_name=first,
        last_name=last,
        phone=phone,
        email=email,
        address_changes={"line1": line1, "country_code": "??"},
        metafields={key: wrapped.format(value)},
        tags=("b2b", "b2b-vip", "b2b-trade"),
    )

    text = said(someone)

    assert not [personal for personal in PERSONAL if personal in text]


def test_the_login_token_is_not_repeated_wherever_it_was_pasted(customer):
    token = "slt-9f3c2e11-secret"

    assert token not in said(customer(metafields={"authentication": token, "discount_percentage": token}))


def test_addresses_and_numbers_of_other_people_are_masked_too():
    assert masked("ask jo@example.com or +46 70 123 45 67") == "ask j…@… or …"
    assert masked('["25-off", 1000]') == '["25-off", 1000]'
