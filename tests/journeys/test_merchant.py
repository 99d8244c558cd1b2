"""What a merchant does, in a real browser: install, watch the import, look something up, mend an issue, see green."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

expect.set_options(timeout=20_000)  # ms: other tests share the machine

SHOP = "northwind-trade.myshopify.com"
PAGES = (
    *("/", "/products", "/customers", "/settings", "/explain", "/explain?q=MUG-1", "/explain?q=5917633347819"),
    *("/products/lookup", "/products/lookup?q=MUG-1", "/products/lookup?q=nothing-like-it", "/products/lookup?q=Mug"),
    *("/customers/lookup", "/customers/lookup?q=ada%40biller.example", "/products/issues", "/customers/issues"),
    *("/products/issues?code=SKU_MISSING", "/products/activity", "/customers/activity", "/products/runs"),
    *("/products/runs/1", "/nowhere"),
)


@pytest.fixture
def store(devstore):
    """A small, clean store with one mistake in it: a variant without a SKU."""
    devstore.open_shop(SHOP, products=0, customers=0)
    for n in range(1, 61):
        devstore.change(SHOP, "create_product", title=f"Mug {n}", variants=[{"sku": f"MUG-{n}", "price": "9.90"}])
    devstore.change(SHOP, "create_product", id=7356521840875, title="Cup", variants=[{"sku": "", "price": "4.50"}])
    devstore.change(SHOP, "create_customer", **ADA)
    return devstore


ADA = {
    "first_name": "Ada",
    "last_name": "Byron",
    "email": "ada@biller.example",
    "tags": ["b2b"],
    "addresses": [{"address1": "1 High Street", "city": "Leeds"}],
}


@pytest.fixture
def workers(start):
    for role in ("live", "bulk", "clock"):
        start("workers", role)


@pytest.fixture
def surroundings(surroundings):
    return surroundings | {"RECONCILE_SECONDS": "30", "COMPLETE_RUN_SECONDS": "3600"}


@pytest.fixture
def open_browser(chromium):
    """open_browser(**of the context) → a page whose every error fails the test."""
    contexts = []

    def open_one(**wanted):
        context = chromium.new_context(**wanted)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda told: told.type == "error" and errors.append(told.text))
        return page

    errors = []
    yield open_one
    for context in contexts:
        context.close()
    wanted = ("status of 404", "status of 401", "status of 422", "net::ERR_FAILED", "Permissions policy violation")
    assert [error for error in errors if not any(words in error for words in wanted)] == []


@pytest.mark.timeout(180)
def test_from_install_to_green(store, web, workers, open_browser):
    store.settings(SHOP, bucket=300, restore_rate=30)  # slow enough to watch
    page = open_browser()
    page.goto(f"{store.url}/{SHOP}/admin/apps/data-sync")
    app = page.frame_locator("iframe")
    expect(app.get_by_role("heading", name="Data sync")).to_be_visible()

    # the import, seen at once and without a click, then across a reload of the whole admin
    expect(app.get_by_role("progressbar").first).to_be_visible(timeout=60_000)
    app.get_by_role("link", name="Product sync", exact=True).first.click()
    expect(app.get_by_role("heading", name="Product sync", level=1)).to_be_visible()
    expect(app.get_by_role("progressbar")).to_be_visible(timeout=20_000)
    expect(app.get_by_text(re.compile(r"\d+ of 61 read"))).to_be_visible(timeout=20_000)
    app.get_by_role("button", name="Refresh").click()
    expect(app.get_by_text("A run is going already.")).to_be_visible()
    store.settings(SHOP, bucket=2000, restore_rate=100)
    expect(app.get_by_text("Amber: issues found")).to_be_visible(timeout=60_000)
    expect(app.get_by_text("61", exact=True).first).to_be_visible()

    # a lookup
    app.get_by_role("searchbox").fill("MUG-7")
    app.get_by_role("button", name="Look up").click()
    expect(app.get_by_text("Mug 7", exact=True).first).to_be_visible()
    expect(app.locator("pre").first).to_contain_text('"sku": "MUG-7"')
    app.get_by_role("button", name="Copy").first.click()
    expect(app.get_by_text("Press Ctrl+C")).to_be_visible()  # this admin's frame lets nobody write the clipboard
    marked = page.frames[1].evaluate("getSelection().toString()")
    assert json.loads(marked)["external_id"]

    # the issue, mended in Shopify
    app.get_by_role("link", name="Issues").click()
    expect(app.get_by_text("The variant has no SKU").first).to_be_visible()
    edit = app.get_by_role("link", name=re.compile("in Shopify")).first
    assert edit.get_attribute("href").endswith("/products/7356521840875")
    (cup,) = [product for product in store.truth(SHOP)["products"] if product["title"] == "Cup"]
    variant = cup["variants"][0]["id"]
    store.change(SHOP, "edit_variant", id=variant, sku="CUP-1")
    app.get_by_role("link", name="Overview").click()
    expect(green(app, page)).to_be_visible(timeout=30_000)


def green(app, page):
    """The webhook is under way: look again, as a person would."""
    for _ in range(40):
        if app.get_by_text("Green: synchronising").count():
            break
        page.wait_for_timeout(250)
        app.get_by_role("link", name="Overview").click()
    return app.get_by_text("Green: synchronising")


# Shopify's own script, as far as the pages rely on it: a fresh token on request, and one on each fetch to the app.
APP_BRIDGE = """
const plain = window.fetch;
window.shopify = { idToken: async () => (await plain("https://tokens.example/")).text() };
window.fetch = async (address, how = {}) => {
  const headers = new Headers(how.headers);
  if (new URL(address, location.href).origin === location.origin)
    headers.set("Authorization", `Bearer ${await window.shopify.idToken()}`);
  return plain(address, { ...how, headers });
};
"""


def without_cookies(page, store):
    """The admin's frame in a browser that keeps no cookies there; returns the context's request for a fresh token."""
    page.route("https://cdn.shopify.com/**", lambda r: r.fulfill(body=APP_BRIDGE, content_type="text/javascript"))
    allowed = {"Access-Control-Allow-Origin": "*"}
    page.route("https://tokens.example/", lambda r: r.fulfill(body=store.id_token(SHOP), headers=allowed))
    drop = {"Set-Cookie": "", "Content-Security-Policy": ""}  # the policy would not know the address of this token

    def strip(route):
        answer = route.fetch(headers={**route.request.headers, "cookie": ""}, max_redirects=0)
        route.fulfill(response=answer, headers={k: v for k, v in answer.headers.items() if k.title() not in drop})

    page.route(re.compile(r"http://127\.0\.0\.1:\d+/(?!static)"), strip)


@pytest.mark.timeout(120)
def test_the_pages_work_where_cookies_do_not(store, web, workers, open_browser, until, journey):
    page = open_browser()
    without_cookies(page, store)

    page.goto(f"{web}/products?embedded=1&shop={SHOP}")  # bounced off App Bridge for a token
    expect(page.get_by_role("heading", name="Product sync")).to_be_visible()
    expect(page).not_to_have_url(re.compile("id_token"))

    until(lambda: journey.value("SELECT count(*) FROM runs WHERE state = 'finished'") >= 2, seconds=100)
    page.get_by_role("link", name="Customer sync").first.click()
    expect(page.get_by_role("heading", name="Customer sync")).to_be_visible()
    page.get_by_role("searchbox").fill("ada@biller.example")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("Ada Byron").first).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download").first.click()
    assert re.fullmatch(r"customer-\d+\.json", saved.value.suggested_filename)
    assert json.loads(saved.value.path().read_bytes())["email"] == "ada@biller.example"
    page.get_by_role("link", name="Overview").click()
    page.route("**/refresh*", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text("Nothing was changed; try again")).to_be_visible()
    page.unroute("**/refresh*")
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_text("Refresh started.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Refresh")).to_be_visible()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("wanted", [(1280, "light"), (375, "dark")], ids=["desk", "phone in the dark"])
def test_every_page_is_for_everybody(store, web, workers, open_browser, until, journey, wanted):
    """WCAG 2.2 AA as far as axe can tell, and nothing that has to be scrolled sideways."""
    width, scheme = wanted
    page = open_browser(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{store.url}/{SHOP}/admin/apps/data-sync?plain=1")
    until(lambda: journey.value("SELECT count(*) FROM runs WHERE state = 'finished'") >= 2, seconds=100)
    flaws = {}
    for path in PAGES:
        page.goto(web + path)
        flaws |= flaws_of(page, path, width)
    for path, act in ACTS.items():
        page.goto(web + path)
        act(page)
        flaws |= flaws_of(page, f"{path}, then", width)
    assert flaws == {}
    look_up_without_a_mouse(page, web)


def flaws_of(page, name, width):
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    return {f"{name}: {v['id']}": [n["html"][:120] for n in v["nodes"]] for v in found.response["violations"]}


def check_shopify(page):
    page.get_by_role("button", name="Check Shopify now").click()
    expect(page.get_by_text("SparkLayer has the same state as Shopify.")).to_be_visible()


def save_nonsense(page):
    page.get_by_label("B2B tag").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()


def resync(page):
    page.get_by_role("button", name="Resync this one").click()
    expect(page.get_by_text("Read from Shopify again").first).to_be_visible(timeout=30_000)


ACTS = {"/explain?q=MUG-1": check_shopify, "/settings": save_nonsense, "/products/lookup?q=MUG-2": resync}


def look_up_without_a_mouse(page, web):
    """Past the navigation by the first link, to the box by Tab; wherever the focus is, it is seen."""
    page.goto(f"{web}/products")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    box = page.get_by_role("searchbox")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if box.evaluate("box => box === document.activeElement"):
            break
    page.keyboard.type("MUG-7")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Mug 7", exact=True).first).to_be_visible()
