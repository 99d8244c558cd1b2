"""Who is at the console, and whether they may.

1. A proxy that proves itself by a shared secret names the person who signed in there; or
2. HTTP Basic, for scripts, which may only read; or
3. our cookie, which the sign-in page gives for twelve hours.

A name counts as long as OPS_USERS has it, with the role that stands there: whoever is taken out of it, or is given
another password, is out at once.
"""

import hmac
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Literal
from urllib.parse import urlencode

from flask import Blueprint, g, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import Forbidden, HTTPException, TooManyRequests, Unauthorized
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response as AnyResponse

from adapters import wrong_passwords
from app.office import office
from app.ops import frame
from app.other_sites import SAFE, refuse_other_sites
from app.signing import signer
from settings import OpsUser

COOKIE = "data_sync_ops"
COOKIE_SECONDS = 12 * 3600
FORM_SECONDS = 12 * 3600
LONGEST_NAME = 200
SHUT = (
    "Nobody is named who may come in. Set OPS_USERS to name:role:hash, the role viewer or operator and the hash from "
    "`flask ops hash-password`, and start the web process again."
)
WAIT = "Too many wrong passwords. Wait a quarter of an hour, or sign in from elsewhere."


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever is at the console."""

    name: str
    role: Literal["viewer", "operator"]

    @property
    def may_act(self) -> bool:
        return self.role == "operator"


def console(name: str, module: str) -> Blueprint:
    """Pages of the console: whoever reaches a view was admitted, as `g.person`; whoever reaches a POST may act."""
    blueprint = Blueprint(name, module, url_prefix="/ops")
    blueprint.before_request(admit)
    dress(blueprint)
    return blueprint


def dress(blueprint: Blueprint) -> None:
    """Its errors are pages of the console, not of a merchant."""
    blueprint.register_error_handler(HTTPException, frame.error_page)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        blueprint.register_error_handler(away, frame.database_away)


def admit() -> AnyResponse | None:
    """The person, or an answer that gets them here. Raises Forbidden, Unauthorized and TooManyRequests."""
    refuse_if_shut()
    refuse_other_sites()
    person = _whoever_it_is()
    if person is None:
        if request.method in SAFE and request.accept_mimetypes.accept_html:
            wanted = request.full_path.rstrip("?")
            return redirect(f"{url_for('ops_door.sign_in')}?{urlencode({'next': wanted})}")
        raise Unauthorized("Sign in first.")
    g.person = person
    if request.method not in SAFE:
        _refuse_unless_meant(person)
    return None


def refuse_if_shut() -> None:
    if not office().settings.ops_users:
        raise Forbidden(SHUT)


def _refuse_unless_meant(person: Person) -> None:
    """An act needs the role, and a form that this very person was given."""
    if not person.may_act:
        raise Forbidden(f"{person.name} is a viewer. Only an operator may do this.")
    refuse_foreign_form(person)


def refuse_foreign_form(person: Person) -> None:
    try:
        name = _form_signer().loads(request.form.get("form_token", ""), max_age=FORM_SECONDS)
    except BadSignature:
        name = None
    if name != person.name:
        raise Forbidden("This form is too old, or was not made for you. Open the page again and repeat it there.")


def form_token() -> str:
    """For every form that is posted: says that the page was made here, and for whom."""
    return str(_form_signer().dumps(g.person.name))


def _form_signer() -> URLSafeTimedSerializer:
    return signer("ops form")


def _whoever_it_is() -> Person | None:
    return _named_by_proxy() or _named_by_basic() or remembered()


def _named_by_proxy() -> Person | None:
    """The header alone proves nothing: whoever reaches this port past the proxy could send it."""
    settings = office().settings
    if not settings.ops_proxy_header or not settings.ops_proxy_secret:
        return None
    sent = request.headers.get("X-Ops-Proxy-Secret", "")
    if not hmac.compare_digest(sent.encode(), settings.ops_proxy_secret.encode()):
        return None
    user = _user(request.headers.get(settings.ops_proxy_header, ""))
    if user is None:
        raise Forbidden("The proxy let you in, but OPS_USERS does not name you.")
    return _person(user)


def _named_by_basic() -> Person | None:
    """Reading only: what a browser sends along by itself must not be enough to act."""
    given = request.authorization
    if request.method not in SAFE or given is None or given.type != "basic":
        return None
    person = check(given.username or "", given.password or "")
    if person is None:
        raise Unauthorized("Name or password is wrong.")
    return person


def check(name: str, password: str) -> Person | None:
    """Whose name and password these are. A name that nobody has takes as long as a wrong password.

    Raises TooManyRequests after too many wrong ones.
    """
    address = request.remote_addr or ""
    if wrong_passwords.are_too_many(office().redis, name[:LONGEST_NAME], address):
        raise TooManyRequests(WAIT, retry_after=wrong_passwords.SECONDS)
    user = _user(name)
    known = user if user is not None and user.has_password else None
    if check_password_hash(known.password_hash if known else _nobodys(), password) and known:
        return _person(known)
    wrong_passwords.count(office().redis, name[:LONGEST_NAME], address)
    return None


def _nobodys() -> str:
    """A hash that costs as much as those of OPS_USERS."""
    with_password = (user.password_hash for user in office().settings.ops_users if user.has_password)
    return next(with_password, None) or _any_hash()


@cache
def _any_hash() -> str:
    return generate_password_hash("nobody has this one")


def _user(name: str) -> OpsUser | None:
    return next((user for user in office().settings.ops_users if user.name == name), None)


def _person(user: OpsUser) -> Person:
    return Person(user.name, "operator" if user.role == "operator" else "viewer")


# The cookie


def remembered() -> Person | None:
    """Whom our cookie names, if it is one of OPS_USERS with the same password still."""
    try:
        name, mark = _signer().loads(request.cookies.get(COOKIE, ""), max_age=COOKIE_SECONDS)
    except (BadSignature, ValueError, TypeError):
        return None
    user = _user(name)
    return _person(user) if user is not None and mark == _mark(user) else None


def remember(response: AnyResponse, person: Person) -> None:
    user = _user(person.name)
    assert user is not None  # whoever was let in is one of them
    response.set_cookie(
        COOKIE,
        _signer().dumps([user.name, _mark(user)]),
        max_age=COOKIE_SECONDS,
        httponly=True,
        secure=office().settings.app_url.startswith("https"),
        samesite="Lax",
        path="/ops",
    )


def forget(response: AnyResponse) -> None:
    response.delete_cookie(COOKIE, path="/ops")


def _signer() -> URLSafeTimedSerializer:
    return signer("ops session")


def _mark(user: OpsUser) -> str:
    """Tells one password of a user from the next, and nothing else."""
    return blake2b(user.password_hash.encode(), digest_size=8).hexdigest()
