"""Where alerts go: mail over SMTP, and a webhook. Both say the same; after a crash perhaps twice, under one id."""

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Literal, Protocol

import msgspec
import requests

from central.ports import Settings
from loyalty.trouble import Fault

DEADLINE_S = 15
Kind = Literal["raised", "cleared"]


class NotDelivered(Fault):
    code = "alerts.not_delivered"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one alert. No member, no card and no sum of money is in it."""

    id: str
    kind: Kind
    level: str
    code: str
    about: str
    say: str
    do: str
    at_ms: int


class Channel(Protocol):
    """One way out."""

    name: str

    def send(self, notices: Sequence[Notice]) -> None:
        """Tell of all of them in one go. Raises: NotDelivered."""


class _Posted(msgspec.Struct, frozen=True, kw_only=True, tag="alerts.v1"):
    """The webhook's body; the same `id` is the same message."""

    id: str
    source: str
    notices: tuple[Notice, ...]


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The ways out that the settings name."""
    ways: list[Channel] = []
    if settings.alert_mail_to:
        ways.append(Mail(settings))
    if settings.alert_webhook:
        ways.append(Webhook(settings))
    return tuple(ways)


class Mail:
    """Plain text over SMTP; what is worst stands in the subject."""

    name = "mail"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, notices: Sequence[Notice]) -> None:
        try:
            with self._open() as server:
                server.send_message(self._message(notices))
        except (OSError, smtplib.SMTPException) as trouble:
            # A server's refusal may quote addresses and the login; its kind and number say enough.
            number = getattr(trouble, "smtp_code", "") or getattr(trouble, "errno", "") or ""
            raise NotDelivered(
                f"The mail server {self._settings.smtp_host} did not take it: {type(trouble).__name__} {number}".strip()
            ) from None

    def _open(self) -> smtplib.SMTP:
        settings, secure = self._settings, ssl.create_default_context()
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.smtp_host, settings.smtp_port, timeout=DEADLINE_S, context=secure
            )
        else:
            server = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=DEADLINE_S)
        if settings.smtp_security == "starttls":
            server.starttls(context=secure)
        if settings.smtp_user:
            password = Path(settings.smtp_password_file).read_text("utf-8").split("\n")[0]
            server.login(settings.smtp_user, password)
        return server

    def _message(self, notices: Sequence[Notice]) -> EmailMessage:
        raised = [one for one in notices if one.kind == "raised"]
        first = min(raised or notices, key=lambda one: (one.level != "danger", one.at_ms))
        more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
        message = EmailMessage()
        message["Subject"] = f"Tallypoint: {'' if raised else 'over: '}{_title(first)}{more}"
        message["From"] = self._settings.alert_mail_from
        message["To"] = self._settings.alert_mail_to
        message["Date"] = formatdate(max(one.at_ms for one in notices) / 1000)
        message["Message-ID"] = f"<{_id_of(notices)}@tallypoint>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join(_words(one) for one in notices) + f"\n\n{self._settings.public_url}\n")
        return message


class Webhook:
    """One POST with JSON; any answer of 200 to 299 means that it was taken."""

    name = "webhook"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, notices: Sequence[Notice]) -> None:
        body = msgspec.json.encode(
            _Posted(id=_id_of(notices), source=self._settings.public_url, notices=tuple(notices))
        )
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    self._settings.alert_webhook, data=body, timeout=DEADLINE_S, allow_redirects=False,
                    headers={"Content-Type": "application/json"}, stream=True,
                )  # fmt: skip
                status = answer.status_code
        except requests.RequestException as trouble:
            # The address may hold a token, so it is not repeated.
            raise NotDelivered(f"The webhook was not reached: {type(trouble).__name__}") from None
        if not 200 <= status < 300:
            raise NotDelivered(f"The webhook answered with HTTP status {status}")


def _id_of(notices: Sequence[Notice]) -> str:
    return hashlib.sha256("\n".join(one.id for one in notices).encode()).hexdigest()[:32]


def _title(one: Notice) -> str:
    # A label comes from a person; a line break in it would end the subject.
    return " ".join(f"{one.about}: {one.say}".removeprefix(": ").split())[:120]


def _words(one: Notice) -> str:
    if one.kind == "cleared":
        return f"OVER  {_title(one)}"
    return f"{one.level.upper()}  {_title(one)}\n  {one.do}\n  ({one.code})"
