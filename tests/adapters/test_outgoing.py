"""What a merchant types in is never a way into our own network, and a slow receiver costs seconds."""

import socket
import threading

import pytest

from adapters import outgoing
from adapters.outgoing import NotTaken


def post(url, *, local=False):
    outgoing.post(url, b"{}", "secret", "notice-1", local=local)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[ff02::1]",
    ],
)
def test_no_address_of_our_own_network_is_reached(host):
    with pytest.raises(NotTaken, match=r"not a public address|could not be found"):
        post(f"https://{host}/hook")


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254"])
def test_outside_production_only_this_machine_is_reached_besides(host):
    with pytest.raises(NotTaken, match="not a public address"):
        post(f"http://{host}/hook", local=True)


def test_in_production_nothing_is_sent_in_clear():
    with pytest.raises(NotTaken, match="https"):
        post("http://example.com/hook")


def test_a_name_with_one_private_address_is_refused_and_is_not_resolved_again(monkeypatch):
    """Whoever owns a name decides what it says the next time: a public address now, ours in a moment."""
    asked = []

    def resolve(host, port, **_):
        asked.append(host)
        addresses = ["93.184.215.14", "127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(NotTaken, match="not a public address"):
        post("https://rebinding.example/hook")
    assert asked == ["rebinding.example"]


@pytest.fixture
def silent():
    """A server that takes a connection and says nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_who_says_nothing_is_given_up_after_seconds(silent, monkeypatch):
    monkeypatch.setattr(outgoing, "SECONDS", 0.2)

    with pytest.raises(NotTaken, match="did not answer within"):
        post(f"http://127.0.0.1:{silent}/", local=True)


def test_who_is_not_there_is_told_so():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(NotTaken, match="could not be reached"):
        post(f"http://127.0.0.1:{port}/", local=True)


def test_an_endless_answer_is_not_read():
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_for_ever, args=[server])
        thread.start()
        post(f"http://127.0.0.1:{server.getsockname()[1]}/", local=True)
        thread.join(10)

    assert not thread.is_alive()


def _answer_for_ever(server):
    line, _ = server.accept()
    with line:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                line.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        except OSError:
            return


def test_no_two_shops_share_a_secret():
    one, other = (outgoing.secret("key", shop) for shop in ("a.myshopify.com", "b.myshopify.com"))

    assert one != other
    assert one != outgoing.secret("another key", "a.myshopify.com")
