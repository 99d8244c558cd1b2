"""A release has a bug in a schema: 500 deliveries die of it, the issue shows up, the fix is deployed; forecast,
replay, green. Once in a real browser, once by command alone.

The bad release is this one with a module that Python runs at the start of each of its processes, command line included.
"""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from werkzeug.security import generate_password_hash

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = "northwind-trade.myshopify.com"
MANY = 500
PATIENCE = 60_000  # ms; a machine may be busy with other tests
HASH = generate_password_hash("secret", method="pbkdf2:sha256:1000")
BUG = """
from schemas import webhooks

def read_product(body, *rest):
    return body["colour"]

webhooks.read_product = read_product
"""


@pytest.fixture
def surroundings(surroundings):
    return surroundings | {"OPS_USERS": f"ada:operator:{HASH}"}


@pytest.fixture
def with_the_bug(tmp_path):
    """What the environment of the bad release has more."""
    (tmp_path / "sitecustomize.py").write_text(BUG)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}


@pytest.fixture
def deploy(start, devstore, until):
    """deploy(**more of the environment) → the address of the release that serves now, all of its processes up."""
    running = []
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ("--host", "127.0.0.1", "--port", str(port), "--blocking-threads", "8")
    url = f"http://127.0.0.1:{port}"

    def is_served():
        try:
            return httpx.get(f"{url}/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def release(**more):
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)
        running[:] = [start("granian", "--interface", "wsgi", *where, "--factory", "app:create_app", **more)]
        running.extend(start("workers", role, **more) for role in ("live", "bulk", "clock"))
        until(is_served, seconds=120)
        devstore.move_app(url=url)
        return url

    return release


@pytest.fixture
def flask(surroundings):
    """flask("replays", "list", **more of the environment) → (exit status, the JSON document), by its own process."""

    def run(*arguments, **more):
        command = [Path(sys.executable).with_name("flask"), *arguments, "--json"]
        environment = surroundings | more
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture
def broken(deploy, with_the_bug, journey, devstore, until):
    """The bad release serves, and five hundred products were made since. Its address."""
    from adapters import runs

    journey.install(SHOP, products=0, customers=0)
    devstore.settings(SHOP, index_lag=0, bucket=20_000, restore_rate=1_000)
    with journey.db.begin() as db:
        runs.open_feeds(db, SHOP)
    url = deploy(**with_the_bug)
    until(lambda: journey.value("SELECT count(*) = 2 FROM feeds WHERE last_complete_at IS NOT NULL"), seconds=120)
    for n in range(1, MANY + 1):
        devstore.change(SHOP, "create_product", id=n, title=f"Mug {n}")
    assert devstore.settle(120)["settled"]
    until(lambda: journey.outcomes().get("dead") == MANY, seconds=120)
    return url


def seen(locator):
    expect(locator).to_be_visible(timeout=PATIENCE)


def the_mirror_equals_the_store(flask):
    status, run = flask("runs", "start", SHOP, "products", "--complete", "--wait")
    found = {name: run[name] for name in ("created", "changed", "unchanged", "removed")}
    return (status, found) == (0, {"created": 0, "changed": 0, "unchanged": MANY, "removed": 0})


@pytest.mark.timeout(600)
def test_in_the_browser_from_the_issue_to_green(broken, deploy, chromium, journey, flask):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page, errors = context.new_page(), []
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{broken}/ops")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Sign in").click()

    # the issue shows up, and is somebody's
    page.get_by_role("link", name=f"{MANY} deliveries are dead.").click()
    page.get_by_role("link", name=re.compile("KeyError")).first.click()
    page.get_by_role("button", name="Acknowledge").click()
    seen(page.get_by_text("Acknowledged: it is yours."))
    issue = page.url.partition("?")[0]

    # one of them: the attempt that failed, and the body
    page.get_by_role("link", name=re.compile("KeyError")).last.click()
    seen(page.get_by_text("Attempt 1 failed").first)
    expect(page.get_by_label(re.compile("delivery-.*json"))).to_contain_text('"title": "Mug', timeout=PATIENCE)

    # as long as the bug is there, a replay would not help, and the forecast says so
    page.goto(issue)
    page.get_by_role("link", name="Replay this issue…").click()
    seen(page.get_by_text(f"{MANY} would still fail"))
    seen(page.get_by_text("deploy the fix first"))

    # the fix is deployed: forecast, then the replay, pressed twice
    deploy()
    page.reload()
    seen(page.get_by_text(f"{MANY} would be applied"))
    page.get_by_label(re.compile("Why")).fill("the schema is mended")
    page.get_by_role("button", name=f"Replay {MANY}").dblclick()
    seen(page.get_by_role("heading", name=re.compile("Replay 1: Issue")))
    seen(page.locator("#replay").get_by_text("Finished"))
    expect(page.locator("#replay").get_by_text("failed again")).to_have_count(0)
    seen(page.get_by_role("link", name=str(MANY), exact=True))
    assert journey.value("SELECT count(*) FROM replays") == 1

    # green
    page.get_by_role("link", name="Now", exact=True).click()
    seen(page.locator("#now").get_by_text("Healthy"))
    page.goto(issue)
    page.get_by_role("button", name="Resolve").click()
    seen(page.get_by_text("Resolved. If it happens again, it opens again."))
    page.get_by_role("link", name="Audit", exact=True).click()
    seen(page.get_by_text("the schema is mended"))
    context.close()
    assert errors == []
    assert the_mirror_equals_the_store(flask)


@pytest.mark.timeout(600)
def test_by_command_alone_from_the_issue_to_green(broken, deploy, with_the_bug, flask, journey, until):
    until(lambda: journey.value("SELECT coalesce(sum(events), 0) FROM failures") == MANY, seconds=120)
    (issue,) = flask("issues", "list")[1]["issues"]
    name = issue["fingerprint"]
    acknowledged = flask("issues", "ack", name, "--who", "ada", "--reason", "it is the schema")[1]["issue"]
    (one,) = flask("deliveries", "list", "--issue", name, "--limit", "1")[1]["deliveries"]
    story = flask("deliveries", "show", str(one["id"]), "--body")[1]
    hopeless = flask("replays", "start", "--issue", name, **with_the_bug)[1]["forecast"]
    deploy()
    status, foreseen = flask("replays", "start", "--issue", name)
    about = ("--name", "schema bug", "--who", "ada", "--reason", "fixed and deployed")
    replayed = flask("replays", "start", "--issue", name, *about, "--yes", "--wait")
    resolved = flask("issues", "resolve", name, "--who", "ada")[1]["issue"]

    assert "KeyError" in issue["sentence"]
    assert (acknowledged["state"], acknowledged["owner"]) == ("acknowledged", "ada")
    assert "KeyError" in story["tried"][0]["sentence"]
    assert '"title": "Mug' in story["body"]
    assert (hopeless["still_fails"], hopeless["would_apply"]) == (MANY, 0)
    assert (status, foreseen["matching"], foreseen["forecast"]["would_apply"]) == (0, {"dead": MANY}, MANY)
    assert (replayed[0], replayed[1]["replay"]["outcomes"]) == (0, {"applied": MANY})
    assert (resolved["state"], resolved["dead"], resolved["outcomes"]) == ("resolved", 0, {"applied": MANY})
    assert flask("deliveries", "list", "--outcome", "dead") == (0, {"deliveries": []})
    assert the_mirror_equals_the_store(flask)
    feed = flask("feeds", "status", SHOP)[1]["feeds"][0]
    assert (feed["synchronised"], feed["expected"], feed["waiting"]) == (MANY, MANY, 0)
