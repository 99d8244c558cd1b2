"""Sends a text mail by the installation's own mail server."""

import ipaddress
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import SplitResult, unquote, urlsplit

SECONDS = 5.0


class NotSent(Exception):
    """The mail server did not take it. The message is a plain sentence without an address in it."""


def send(server: str, sender: str, to: str, subject: str, text: str, message_id: str) -> None:
    """Raises `NotSent`. `server` is `smtp://[user:password@]host[:port]` (STARTTLS) or `smtps://…` (TLS at once).

    `message_id` is the same for each attempt at one notice: most mailboxes show such a mail once.
    """
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = sender
    message["To"] = to
    message["Date"] = formatdate()
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers, please (RFC 3834)
    message.set_content(text)
    url = urlsplit(server)
    try:
        with _connected(url) as connection:
            if url.username:
                connection.login(unquote(url.username), unquote(url.password or ""))
            connection.send_message(message)
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("The mail server does not take mail for this address. Check the address.") from None
    except smtplib.SMTPAuthenticationError:
        raise NotSent("The mail server refused the installation's user name or password.") from None
    except (smtplib.SMTPException, OSError) as failure:
        raise NotSent(f"The mail server could not be used ({type(failure).__name__}).") from None


def _connected(url: SplitResult) -> smtplib.SMTP:
    host = url.hostname or ""
    if url.scheme == "smtps":
        return smtplib.SMTP_SSL(host, url.port or 465, timeout=SECONDS, context=ssl.create_default_context())
    connection = smtplib.SMTP(host, url.port or 587, timeout=SECONDS)
    try:
        _encrypt(connection, host)
    except BaseException:
        connection.close()
        raise
    return connection


def _encrypt(connection: smtplib.SMTP, host: str) -> None:
    """Whoever sits in between could leave STARTTLS out: only within this machine it may be missing."""
    connection.ehlo()
    if connection.has_extn("starttls"):
        connection.starttls(context=ssl.create_default_context())
    elif not _is_this_machine(host):
        raise NotSent("The mail server offers no encryption (STARTTLS), so nothing was sent.")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
