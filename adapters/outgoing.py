"""Posts to an address that a merchant typed in: signed, bounded, and never to a machine of our own network."""

import hashlib
import hmac
import ipaddress
import socket
from base64 import b64encode
from urllib.parse import urlsplit

import httpx

SIGNATURE = "X-Data-Sync-Hmac-Sha256"
NOTICE_ID = "X-Data-Sync-Notice-Id"
SECONDS = 5.0
MOST_ADDRESSES = 3
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotTaken(Exception):
    """The receiver did not take it. The message is a plain sentence for the merchant, and quotes no secret."""


def secret(secret_key: str, shop: str) -> str:
    """What a shop's receiver verifies our signature with. Derived: nothing to store, and no two shops share one."""
    return hmac.new(secret_key.encode(), b"data-sync notices 1\0" + shop.encode(), hashlib.sha256).hexdigest()


def signature(secret: str, body: bytes) -> str:
    """The header's value: base64 of HMAC-SHA256 over the bytes of the body, as Shopify signs its own webhooks."""
    return b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def post(url: str, body: bytes, secret: str, notice_id: str, *, local: bool = False) -> None:
    """Deliver `body`, or raise `NotTaken`. `local` (never in production) allows plain http and this very machine.

    1. Resolve the name once.
    2. Refuse if any of its addresses is not a public one.
    3. Connect to one of just these addresses: a name that is resolved again could say something else (DNS rebinding).
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise NotTaken("The address does not start with https://, so nothing was sent.")
    addresses = _resolved(host, port)
    if not all(_is_public(address) or (local and address.is_loopback) for address in addresses):
        raise NotTaken(f"{host} is not a public address, so nothing was sent.")
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "Data Sync",
        SIGNATURE: signature(secret, body),
        NOTICE_ID: notice_id,
    }
    _post_to_one_of(addresses, f"{parts.scheme}://{{}}:{port}{target}", host, body, headers)


def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotTaken(f"{host} could not be found. Check the address.") from None
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


def _is_public(address: Address) -> bool:
    """`is_global`, and none that carries another address in itself: a gateway would take it out again."""
    if isinstance(address, ipaddress.IPv6Address):
        carries = address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
        if carries:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _post_to_one_of(addresses: list[Address], url: str, host: str, body: bytes, headers: dict[str, str]) -> None:
    """The next address only when nobody was reached at the one before: nothing is told twice.

    Certificates are checked against the name. Proxies of the environment are not asked: they would resolve it anew.
    """
    with httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client:
        for address in addresses[:MOST_ADDRESSES]:
            target = url.format(f"[{address}]" if address.version == 6 else address)
            extensions = {"sni_hostname": host}
            try:
                # The answer's body is never read: it may be endless.
                with client.stream("POST", target, content=body, headers=headers, extensions=extensions) as answer:
                    return _judge(host, answer.status_code)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.TimeoutException:
                raise NotTaken(f"{host} did not answer within {SECONDS:.0f} seconds.") from None
            except (httpx.HTTPError, httpx.InvalidURL) as failure:
                raise NotTaken(f"{host} broke off the connection ({type(failure).__name__}).") from None
    raise NotTaken(f"{host} could not be reached, or has no valid certificate for this name.")


def _judge(host: str, status: int) -> None:
    if 300 <= status < 400:
        raise NotTaken(f"{host} answered with a redirect (HTTP {status}), which is never followed.")
    if not 200 <= status < 300:
        raise NotTaken(f"{host} refused the notice (HTTP {status}).")
