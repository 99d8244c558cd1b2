"""People at work, over HTTP as they do it: a merchant with Shopify's session token, an engineer at the console."""

import re
import time
from html import unescape

import httpx

TOKEN_SECONDS = 30  # App Bridge fetches a new one each minute
HTML = {"Accept": "text/html"}


class Merchant:
    """Of one shop: asks the API and looks at the pages."""

    def __init__(self, made, shop):
        self.made, self.shop = made, shop
        self._http = httpx.Client(base_url=made.url, timeout=30)
        self._token, self._since = "", 0.0

    def ask(self, path, method="GET", **more):
        if time.monotonic() - self._since > TOKEN_SECONDS:
            self._token, self._since = self.made.store.id_token(self.shop), time.monotonic()
        return self._http.request(method, path, headers={"Authorization": f"Bearer {self._token}"}, **more)

    def close(self):
        self._http.close()


class Engineer:
    """An operator of `OPS_USERS`."""

    def __init__(self, made, name, password):
        self._http = httpx.Client(base_url=made.url, timeout=30, headers=HTML)
        self._who = {"name": name, "password": password}

    def replay(self, **chosen):
        """Look at the forecast, then start it. The replay's page, or None when nothing matches."""
        if "ops" not in "".join(self._http.cookies):
            self._http.post("/ops/sign-in", data=self._who)
        forecast = self._http.get("/ops/replays/new", params=chosen, follow_redirects=True)
        assert forecast.status_code == 200, forecast.text
        form = re.search(r'<form[^>]* action="/ops/replays">.*?</form>', forecast.text, re.DOTALL)
        if form is None:
            return None
        inputs = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]*>", form[0])]
        values = {}
        for one in inputs:
            if one.get("type") != "radio" and "value" in one:
                values.setdefault(one["name"], []).append(unescape(one["value"]))
        values |= {"why": "because", "mode": "as_sent"}
        started = self._http.post("/ops/replays", data=values)
        assert started.status_code == 303, started.text
        return started.headers["Location"]

    def close(self):
        self._http.close()
