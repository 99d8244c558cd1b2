"""Who gets into the console, and who may act there."""

import base64
import re

import pytest
from werkzeug.security import generate_password_hash

HASHES = {name: generate_password_hash(f"{name}'s password", method="pbkdf2:sha256:1000") for name in ("ada", "vic")}
USERS = f"ada:operator:{HASHES['ada']} vic:viewer:{HASHES['vic']} pat:viewer:proxy"
PROXY = {"OPS_PROXY_HEADER": "X-Forwarded-User", "OPS_PROXY_SECRET": "p" * 40}
HTML = {"Accept": "text/html"}


@pytest.fixture
def console(build, database, redis):
    return build(OPS_USERS=USERS)


@pytest.fixture
def sign_in(console):
    """sign_in(name) → a browser that is in."""

    def enter(name, app=console):
        browser = app.test_client()
        answer = browser.post("/ops/sign-in", data={"name": name, "password": f"{name}'s password"})
        assert answer.status_code == 303
        return browser

    return enter


def token_of(browser, page="/ops"):
    return re.search(r'name="form_token" value="([^"]+)"', browser.get(page, headers=HTML).text)[1]


def routes(app, method):
    """Every address of the console for this method, made up where it has parts."""
    made_up = {"number": 1, "fingerprint": "abc", "domain": "a.myshopify.com", "lane": "live", "job_id": "j"}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if rule.rule.startswith("/ops") and method in rule.methods:
                yield rule.endpoint, rule.build({name: made_up[name] for name in rule.arguments})[1]


def basic(name, password):
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def test_without_users_the_console_is_shut_and_says_what_to_set(app):
    answer = app.test_client().get("/ops", headers=HTML)
    assert answer.status_code == 403
    assert "OPS_USERS" in answer.text


def test_a_stranger_is_sent_to_sign_in_from_every_page(console):
    found = [address for endpoint, address in routes(console, "GET") if endpoint != "ops_door.sign_in"]
    assert len(found) > 15
    for address in found:
        answer = console.test_client().get(address, headers=HTML)
        assert answer.status_code == 302, address
        assert answer.headers["Location"].startswith("/ops/sign-in?next="), address
        assert console.test_client().get(address, headers={"Accept": "application/json"}).status_code == 401, address


def test_every_act_refuses_strangers_viewers_other_sites_and_forms_not_made_here(console, sign_in):
    acts = [address for endpoint, address in routes(console, "POST") if not endpoint.startswith("ops_door.")]
    assert len(acts) >= 9
    viewer, operator = sign_in("vic"), sign_in("ada")
    form = {"form_token": token_of(operator), "why": "because", "count": "1", "state": "resolved", "act": "delete"}
    for address in acts:
        assert console.test_client().post(address, data=form).status_code == 401, address
        assert viewer.post(address, data=form | {"form_token": token_of(viewer)}).status_code == 403, address
        assert operator.post(address, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403, address
        assert operator.post(address, data=form, headers={"Origin": "https://evil.example"}).status_code == 403, address
        assert operator.post(address, data=form | {"form_token": ""}).status_code == 403, address
        assert operator.post(address, data=form | {"form_token": token_of(viewer)}).status_code == 403, address


def test_no_get_changes_anything(console, sign_in, door_of, engine, product, everything_stored):
    door_of(console, engine).post(product())
    door_of(console, engine).post(b"[]")
    browser = sign_in("ada")
    before = everything_stored()
    for _, address in routes(console, "GET"):
        browser.get(f"{address}?outcome=dead", headers=HTML)
    assert everything_stored() == before


def test_a_viewer_is_shown_no_act(console, sign_in):
    viewer = sign_in("vic")
    for endpoint, address in routes(console, "GET"):
        if endpoint == "ops_door.sign_in":
            continue
        text = viewer.get(address, headers=HTML).text
        posts = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', text)
        assert set(posts) <= {"/ops/sign-out"}, address


def test_a_form_of_another_site_signs_nobody_in(console):
    answer = console.test_client().post(
        "/ops/sign-in", data={"name": "ada", "password": "ada's password"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


def test_signing_in_leads_to_where_one_wanted_to_go_but_nowhere_else(console):
    data = {"name": "ada", "password": "ada's password"}

    def led_to(wanted):
        return console.test_client().post("/ops/sign-in", query_string={"next": wanted}, data=data).headers["Location"]

    assert led_to("/ops/deliveries?outcome=dead") == "/ops/deliveries?outcome=dead"
    for elsewhere in ("https://evil.example/ops", "//evil.example", "/ops/..\\evil", "/products", "/ops\n", "/opsevil"):
        assert led_to(elsewhere) in ("/ops", "/ops/")


def test_signing_out_ends_it(sign_in):
    browser = sign_in("vic")
    assert browser.post("/ops/sign-out", data={"form_token": token_of(browser)}).status_code == 303
    assert browser.get("/ops", headers=HTML).status_code == 302


def test_another_sites_form_does_not_sign_anybody_out(sign_in):
    browser = sign_in("ada")
    assert browser.post("/ops/sign-out", data={"form_token": "made up"}).status_code == 403
    assert browser.get("/ops", headers=HTML).status_code == 200


def test_the_cookie_is_closed_to_scripts_and_to_other_pages(build, database, redis):
    app = build(OPS_USERS=USERS, APP_ENV="production", APP_URL="https://sync.example.com")
    answer = app.test_client().post("/ops/sign-in", data={"name": "ada", "password": "ada's password"})
    cookie = answer.headers["Set-Cookie"]
    for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/ops", "Max-Age=43200"):
        assert word in cookie


def test_a_tampered_cookie_opens_nothing(sign_in):
    browser = sign_in("vic")
    kept = browser.get_cookie("data_sync_ops", path="/ops").value
    browser.set_cookie("data_sync_ops", kept[:-2] + "aa", path="/ops")
    assert browser.get("/ops", headers=HTML).status_code == 302


def test_whoever_gets_another_password_or_is_taken_out_is_out_at_once(build, database, redis, sign_in):
    kept = sign_in("ada").get_cookie("data_sync_ops", path="/ops").value
    another = generate_password_hash("another", method="pbkdf2:sha256:1000")
    for users in (f"ada:operator:{another}", f"vic:viewer:{HASHES['vic']}"):
        browser = build(OPS_USERS=users).test_client()
        browser.set_cookie("data_sync_ops", kept, path="/ops")
        assert browser.get("/ops", headers=HTML).status_code == 302


def test_whoever_is_made_a_viewer_may_not_act_any_more(build, database, redis, sign_in):
    browser = sign_in("ada")
    token, kept = token_of(browser), browser.get_cookie("data_sync_ops", path="/ops").value
    demoted = build(OPS_USERS=f"ada:viewer:{HASHES['ada']}").test_client()
    demoted.set_cookie("data_sync_ops", kept, path="/ops")
    assert demoted.post("/ops/issues/abc", data={"form_token": token, "state": "resolved"}).status_code == 403


def test_ten_wrong_passwords_are_enough(console):
    browser = console.test_client()
    for _ in range(10):
        assert browser.post("/ops/sign-in", data={"name": "ada", "password": "wrong"}).status_code == 401
    answer = browser.post("/ops/sign-in", data={"name": "ada", "password": "ada's password"}, headers=HTML)
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text
    assert answer.headers["Retry-After"] == "900"
    assert browser.get("/ops", headers=basic("ada", "ada's password")).status_code == 429
    assert browser.post("/ops/sign-in", data={"name": "vic", "password": "vic's password"}).status_code == 303


def test_redis_away_locks_nobody_out(build, database):
    app = build(OPS_USERS=USERS, REDIS_URL="redis://127.0.0.1:1")
    browser = app.test_client()
    for _ in range(11):
        assert browser.post("/ops/sign-in", data={"name": "ada", "password": "wrong"}).status_code == 401
    assert browser.post("/ops/sign-in", data={"name": "ada", "password": "ada's password"}).status_code == 303
    assert "Redis does not answer" in browser.get("/ops", headers=HTML).text


def test_a_name_that_nobody_has_costs_a_hash_as_well(console, monkeypatch):
    from app.ops import entrance

    hashed = []
    check = entrance.check_password_hash
    monkeypatch.setattr(entrance, "check_password_hash", lambda *given: hashed.append(given[0]) or check(*given))
    for name in ("ada", "nobody", "pat"):
        console.test_client().post("/ops/sign-in", data={"name": name, "password": "wrong"})
    assert hashed == [HASHES["ada"]] * 3


def test_a_script_reads_with_a_password_but_never_acts(console, sign_in):
    browser = console.test_client()
    assert browser.get("/ops/deliveries", headers=basic("vic", "vic's password")).status_code == 200
    assert browser.get("/ops/deliveries", headers=basic("vic", "wrong")).status_code == 401
    form = {"form_token": token_of(sign_in("ada")), "state": "resolved"}
    answer = browser.post("/ops/issues/abc", data=form, headers=basic("ada", "ada's password"))
    assert answer.status_code == 401


def test_a_proxy_that_proves_itself_names_who_is_there(build, database, redis):
    browser = build(OPS_USERS=USERS, **PROXY).test_client()
    proof = {"X-Ops-Proxy-Secret": PROXY["OPS_PROXY_SECRET"], "X-Forwarded-User": "pat"} | HTML
    assert "pat, viewer" in browser.get("/ops", headers=proof).text
    assert browser.get("/ops", headers=proof | {"X-Ops-Proxy-Secret": "guessed"}).status_code == 302
    assert browser.get("/ops", headers=proof | {"X-Forwarded-User": "stranger"}).status_code == 403


def test_the_proxys_header_means_nothing_where_no_proxy_is_set(console):
    browser = console.test_client()
    answer = browser.get("/ops", headers={"X-Forwarded-User": "ada", "X-Ops-Proxy-Secret": ""} | HTML)
    assert answer.status_code == 302


def test_nobody_may_frame_a_page_and_no_inline_code_runs(console, sign_in):
    browser = sign_in("ada")
    for _, address in routes(console, "GET"):
        answer = browser.get(address, headers=HTML)
        if answer.mimetype != "text/html" or "body" in address:
            continue
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "no-store" in answer.headers["Cache-Control"]
        assert not re.search(r"<script>|\sstyle=|\son[a-z]+=", answer.text), address
