import pytest

from domain.eligibility import Probe, Rule, group_slugs, judge, judge_probe

RULE = Rule()


@pytest.mark.parametrize("tag", ["b2b", "B2B", " b2b ", "\tB2b\n", "\u00a0b2b"])
def test_the_whole_tag_belongs_whatever_its_case_and_spaces(tag):
    judged = judge(["vip", tag], [], RULE)

    assert (judged.belongs, judged.rule, judged.matched) == (True, "tag", tag)


@pytest.mark.parametrize(
    "tag", ["b2b-vip", "B2BB", "b2b-only", "B2B2C", "not-b2b", "b 2b", "b2b,", "b2b\u200b", "", "2b"]
)
def test_no_other_tag_belongs(tag):
    assert judge([tag], [], RULE).belongs is False


@pytest.mark.parametrize("key", ["authentication", "group", "anything_at_all"])
def test_any_metafield_of_the_namespace_belongs(key):
    judged = judge([], [key], RULE)

    assert (judged.belongs, judged.rule, judged.matched) == (True, "metafield", key)


def test_a_key_that_the_shop_ignores_does_not_count():
    rule = Rule(ignored_keys=frozenset({"authentication"}))

    assert judge([], ["authentication"], rule).belongs is False
    assert judge([], ["authentication", "group"], rule).matched == "group"
    assert "authentication" in judge([], ["authentication"], rule).sentence


@pytest.mark.parametrize(
    ("tags", "keys", "belongs"),
    [
        (None, None, None),
        (None, [], None),
        ([], None, None),
        (["b2b-vip"], None, None),
        (["b2b"], None, True),
        (None, ["group"], True),
        ([], [], False),
    ],
)
def test_unknown_is_never_read_as_none_and_one_known_yes_decides(tags, keys, belongs):
    assert judge(tags, keys, RULE).belongs is belongs


def test_what_is_not_decided_says_what_was_not_read():
    assert judge(None, [], RULE).sentence == "Not decided yet: the customer's tags have not been read from Shopify."


def test_the_tag_rule_is_named_when_both_hold():
    assert judge(["b2b"], ["group"], RULE).rule == "tag"


def test_a_shop_may_call_its_tag_otherwise():
    assert judge(["Wholesale"], [], Rule(tag=" wholesale ")).belongs is True
    assert judge(["b2b"], [], Rule(tag="wholesale")).belongs is False


def test_an_empty_tag_in_the_settings_matches_nobody():
    assert judge(["", " "], [], Rule(tag=" ")).belongs is False


def test_a_near_miss_is_explained_to_the_merchant():
    judged = judge(["wholesale", "b2b-vip"], [], RULE)

    assert judged.reason == "near_miss_tag"
    assert judged.near_miss == "b2b-vip"
    assert judged.sentence == (
        "Not imported: the customer has the tag b2b-vip but not b2b, and no metafield in the namespace sparklayer. "
        "Add the tag b2b to import them."
    )


@pytest.mark.parametrize("tag", ["B2BB", "b_2_b", "b2b\u200b", "\uff42\uff12\uff42"])
def test_tags_that_look_nearly_right_are_near_misses(tag):
    assert judge([tag], [], RULE).near_miss == tag


def test_a_tag_that_only_looks_the_same_is_said_to():
    assert "written differently" in judge(["b2b\u200b"], [], RULE).sentence


def test_another_namespace_is_a_near_miss():
    judged = judge([], [], RULE, other_namespaces=["custom", "sparklayer_old"])

    assert judged.reason == "near_miss_namespace"
    assert "sparklayer_old, not sparklayer" in judged.sentence


def test_nothing_near_is_said_plainly():
    judged = judge(["retail"], [], RULE)

    assert judged.reason == "no_tag_or_metafield"
    assert judged.near_miss is None
    assert "retail" not in judged.sentence


@pytest.mark.parametrize("tag", ["b2b-maja@example.com", "b2b +46701234567", "b2b-" + "x" * 80])
def test_a_tag_that_may_hold_personal_data_is_not_repeated(tag):
    judged = judge([tag], [], RULE)

    assert judged.reason == "near_miss_tag"
    assert judged.near_miss is None
    assert tag not in judged.sentence


def test_ignored_keys_say_nothing_about_keys_that_were_not_listed():
    rule = Rule(ignored_keys=frozenset({"authentication"}))

    cut = Probe(1, (), frozenset({"authentication"}), keys_complete=False)

    assert judge_probe(cut, rule).belongs is None
    assert judge_probe(Probe(1, (), frozenset({"authentication"})), rule).belongs is False
    assert judge_probe(Probe(1, (), frozenset({"group"}), keys_complete=False), rule).belongs is True


def test_groups_are_read_from_tags():
    assert group_slugs(["b2b", "B2B-VIP", "b2b-trade ", "b2b-only", "b2b-", "b2b-vip"], "b2b") == ("vip", "trade")
