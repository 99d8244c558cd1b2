"""The console in a real browser: keys, pages that follow what is going on, and everybody who uses it."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from werkzeug.security import generate_password_hash

SHOP = "northwind-trade.myshopify.com"
DEAD = 500
HASH = generate_password_hash("secret", method="pbkdf2:sha256:1000")
PAGES = (
    *("/ops", "/ops/issues", "/ops/issues?state=all", "/ops/deliveries", "/ops/deliveries?outcome=dead"),
    *("/ops/deliveries?error=zebra", "/ops/deliveries/1", "/ops/deliveries/dismiss?outcome=dead", "/ops/rejected"),
    *("/ops/replays", "/ops/replays/new?outcome=dead", "/ops/replays/1", "/ops/runs", "/ops/runs/1", "/ops/gaps"),
    *("/ops/shops", "/ops/subscriptions", "/ops/workers", "/ops/audit", "/ops/deliveries/99999999"),
)


@pytest.fixture
def surroundings(surroundings):
    return surroundings | {"OPS_USERS": f"ada:operator:{HASH}"}


@pytest.fixture
def open_browser(chromium):
    """open_browser(**of the context) → a page whose every error fails the test."""
    contexts, errors = [], []

    def open_one(**wanted):
        context = chromium.new_context(**wanted)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda told: told.type == "error" and errors.append(told.text))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert [error for error in errors if "status of 404" not in error and "DISCONNECTED" not in error] == []


def sign_in(page, web):
    page.goto(f"{web}/ops")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()


@pytest.fixture
def broken(journey, workshop, monkeypatch):
    """A deploy went wrong: five hundred bodies died of one bug. What is deployed now is well."""
    from adapters import failures
    from schemas import bodies
    from workers import turns

    journey.install(SHOP, products=0, customers=0)
    sent = [
        {"id": n, "title": f"Mug {n}", "status": "active", "updated_at": None, "variants": []}
        for n in range(1, DEAD + 1)
    ]
    journey.store(SHOP, sent)

    def buggy(*_):
        raise KeyError("colour")

    with monkeypatch.context() as deployed:
        deployed.setattr(bodies, "read_product", buggy)
        while journey.waiting():
            turns.take_turn(workshop, "live", SHOP)
    assert journey.outcomes() == {"dead": DEAD}
    with workshop.db.begin() as db:
        failures.file(db, 10 * DEAD)


def test_the_keyboard_moves_and_selects_but_never_acts(broken, web, open_browser, journey):
    page = open_browser()
    sign_in(page, web)
    page.wait_for_load_state()  # before it no key is listened to
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_role("checkbox", name="Select delivery 499")).to_be_checked()
    page.keyboard.press("/")
    expect(page.get_by_label("Shop")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="Deliveries").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Delivery 499")).to_be_visible()
    assert journey.outcomes() == {"dead": DEAD}


def test_the_key_for_a_replay_leads_to_the_forecast_and_never_further(broken, web, open_browser, journey):
    page = open_browser()
    sign_in(page, web)
    page.goto(f"{web}/ops/deliveries?outcome=dead")
    page.keyboard.press("j")
    page.keyboard.press("R")
    expect(page.get_by_role("heading", name="New replay")).to_be_visible()
    expect(page.get_by_text("Of 1 matching: 1 would be applied.")).to_be_visible()
    page.goto(f"{web}/ops/deliveries?outcome=dead")
    page.keyboard.press("R")
    expect(page.get_by_text(f"Of {DEAD} matching: {DEAD} would be applied.")).to_be_visible()
    page.goto(f"{web}/ops/deliveries/1")
    page.keyboard.press("R")
    expect(page.get_by_role("button", name="Replay as sent")).to_be_focused()
    assert journey.outcomes() == {"dead": DEAD}
    assert journey.value("SELECT count(*) FROM replays") == 0


def test_a_page_that_gets_no_answer_keeps_what_it_knew_and_says_so(broken, web, open_browser):
    page = open_browser()
    sign_in(page, web)
    page.context.set_offline(True)
    said = page.get_by_text(re.compile("No answer. What stands here is what was known at"))
    expect(said).to_be_visible(timeout=10_000)
    expect(page.locator("#now.stale")).to_contain_text("deliveries are dead")
    page.context.set_offline(False)
    expect(said).to_have_count(0, timeout=10_000)
    expect(page.locator("#now.stale")).to_have_count(0)
    page.context.clear_cookies()
    expect(page.get_by_text("You are signed out: load the page again to sign in.")).to_be_visible(timeout=10_000)


def test_it_works_without_javascript(broken, web, open_browser, journey):
    page = open_browser(java_script_enabled=False)
    sign_in(page, web)
    page.goto(f"{web}/ops/deliveries?outcome=dead")
    page.get_by_role("checkbox", name="Select delivery 500").check()
    page.get_by_role("checkbox", name="Select delivery 498").check()
    page.get_by_role("button", name="Dismiss the selected…").click()
    page.get_by_label(re.compile("Why")).fill("test products")
    page.get_by_role("button", name="Dismiss 2").click()
    expect(page.get_by_text("2 · Dismissed")).to_be_visible()
    assert journey.outcomes() == {"dead": DEAD - 2, "filtered": 2}


def test_what_is_shown_stays_while_a_row_is_selected_or_somebody_paused(broken, web, open_browser, journey):
    page = open_browser()
    sign_in(page, web)
    page.goto(f"{web}/ops/deliveries")
    page.get_by_role("checkbox", name="Select delivery 500").check()
    body = {"id": 9_001, "title": "Cup", "status": "active", "updated_at": None, "variants": []}
    journey.store(SHOP, [body])
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "newer" in request.url else None)
    page.wait_for_timeout(4_000)  # longer than the page waits between two looks
    assert asked == []
    page.get_by_role("checkbox", name="Select delivery 500").uncheck()
    expect(page.get_by_role("link", name="1 new: show")).to_be_visible(timeout=10_000)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("wanted", [(1280, "light"), (375, "dark")], ids=["desk", "phone in the dark"])
def test_every_page_is_for_everybody(broken, web, workshop, open_browser, wanted):
    """WCAG 2.2 AA as far as axe can tell, and nothing that has to be scrolled sideways."""
    from adapters import replays, runs
    from adapters.inbox import Filter

    with workshop.db.begin() as db:
        replays.start(db, "Mugs", "ada", "a rehearsal", Filter(id=1), refreshed=False, key="k")
        run, _ = runs.start(db, SHOP, "products", "schedule", complete=True)
        runs.fail(db, run, "51 of 60 records would be removed, more than 10 % and more than 20.", held=True)
    width, scheme = wanted
    page = open_browser(viewport={"width": width, "height": 800}, color_scheme=scheme)
    sign_in(page, web)
    flaws = {}
    for path in PAGES:
        page.goto(web + path)
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        flaws |= {f"{path}: {v['id']}": [n["html"][:120] for n in v["nodes"]] for v in found.response["violations"]}
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert flaws == {}
