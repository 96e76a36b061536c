"""What is wrong is told once until it clears, by mail and webhook, and neither a restart nor a dead server loses it."""

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import func, select

from central.database.tables import alert, notice
from central.ports import Settings, reading, writing
from central.upkeep.ailments import Ailment
from central.upkeep.alert_channels import Mail, NotDelivered, Notice, Webhook, channels_of
from central.upkeep.alerts import Alerts
from central.upkeep.doctor import Examined, examine
from central.worklist.worklist import raise_alarm
from tallypoint.cli import main
from tests.central.tills import DAY, MINUTE, NOW, Centre, CentreClock
from tests.support.certificates import Authority
from tests.support.mail_server import MailServer, mail_server

SILENT = Ailment(level="wrong", code="till.silent", about="S1 Lane", say="Not heard for 25 hours.", do="Ask the store.")
DISK = Ailment(level="danger", code="disk.low", about="/data", say="10 MB are free.", do="Free some space.")
ADVICE = Ailment(level="advice", code="sqlite.old", say="SQLite is old.", do="Use a newer one.")


class Kept:
    """A channel that keeps what it was given, or fails."""

    def __init__(self, name: str = "kept") -> None:
        self.name, self.told, self.fails = name, [], False

    def send(self, notices: Sequence[Notice]) -> None:
        if self.fails:
            raise NotDelivered("The kept channel is away")
        self.told.append([(one.kind, one.code, one.about) for one in notices])


class OnCall:
    """Alerts of a centre whose doctor says what the test wants."""

    def __init__(self, centre: Centre, *channels: Kept) -> None:
        self.centre, self.channels, self.found = centre, channels, [ADVICE]
        self.restart()

    def restart(self) -> None:
        """A new process, that knows what the tables say."""
        self.alerts = Alerts(
            Settings(), self.centre.engine, CentreClock(self.centre), channels=self.channels,
            look=lambda: Examined(facts={}, ailments=tuple(self.found)),
        )  # fmt: skip

    def step(self, later_ms: int = MINUTE) -> None:
        self.centre.now += later_ms
        self.alerts.step()

    def states(self) -> list[tuple[str, int]]:
        with reading(self.centre.engine) as tx:
            return [(row.state, row.tries) for row in tx.execute(select(notice).order_by(notice.c.made_at_ms))]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def on_call(centre: Centre, kept: Kept) -> OnCall:
    return OnCall(centre, kept)


def test_each_is_told_once_and_once_that_it_is_over(on_call: OnCall, kept: Kept) -> None:
    on_call.step()
    assert kept.told == []
    on_call.found = [ADVICE, SILENT]
    on_call.step()
    on_call.step()
    assert kept.told == [[("raised", "till.silent", "S1 Lane")]]
    on_call.found = [DISK, SILENT]
    on_call.step()
    assert kept.told[1:] == [[("raised", "disk.low", "/data")]]
    on_call.found = [DISK]
    on_call.step()
    on_call.step()
    assert kept.told[2:] == [[("cleared", "till.silent", "S1 Lane")]]
    on_call.found = [DISK, SILENT]
    on_call.step()
    assert kept.told[3:] == [[("raised", "till.silent", "S1 Lane")]]


def test_what_is_due_where_nobody_is_told_any_more_is_given_up(on_call: OnCall, kept: Kept) -> None:
    kept.fails, on_call.found = True, [SILENT]
    with pytest.raises(NotDelivered):
        on_call.step()
    assert on_call.states() == [("due", 1)]
    on_call.channels = (other := Kept("other"),)
    on_call.restart()
    on_call.step()
    assert on_call.states() == [("given_up", 1)]
    on_call.found = []
    on_call.step()
    assert other.told == [[("cleared", "till.silent", "S1 Lane")]]


def test_what_becomes_danger_is_told_once_more_and_what_eases_is_not(on_call: OnCall, kept: Kept) -> None:
    low, short = (Ailment(level=level, code="disk.low", about="/data", say=f"{mb} MB are free.", do="Free some.")
                  for level, mb in (("wrong", 900), ("danger", 90)))  # fmt: skip
    for found in (low, short, short, low, short):
        on_call.found = [found]
        on_call.step()
    assert kept.told == [[("raised", "disk.low", "/data")]] * 2
    with reading(on_call.centre.engine) as tx:
        assert tx.execute(select(alert.c.level, alert.c.say)).one() == ("danger", "90 MB are free.")
    on_call.found = []
    on_call.step()
    assert kept.told[2:] == [[("cleared", "disk.low", "/data")]]


def test_two_tills_are_two_alerts_in_one_message(on_call: OnCall, kept: Kept) -> None:
    other = Ailment(level="wrong", code="till.silent", about="S2 Lane", say="Not heard.", do="Ask.")
    on_call.found = [SILENT, other]
    on_call.step()
    assert [sorted(message) for message in kept.told] == [
        [("raised", "till.silent", "S1 Lane"), ("raised", "till.silent", "S2 Lane")]
    ]


def test_what_could_not_be_sent_is_sent_after_a_restart_more_and_more_seldom(on_call: OnCall, kept: Kept) -> None:
    on_call.found, kept.fails = [DISK], True
    with pytest.raises(NotDelivered):
        on_call.step()
    assert on_call.states() == [("due", 1)]
    on_call.step(59_000)  # not yet
    assert on_call.states() == [("due", 1)]
    with pytest.raises(NotDelivered):
        on_call.step(1_000)
    on_call.restart()
    kept.fails = False
    on_call.step(119_000)
    assert kept.told == []
    on_call.step(1_000)
    assert kept.told == [[("raised", "disk.low", "/data")]]
    assert on_call.states() == [("sent", 3)]
    on_call.step()
    assert len(kept.told) == 1


def test_after_three_days_it_is_given_up_and_a_month_later_forgotten(on_call: OnCall, kept: Kept) -> None:
    on_call.found, kept.fails = [DISK], True
    with pytest.raises(NotDelivered):
        on_call.step()
    with pytest.raises(NotDelivered):
        on_call.step(3 * DAY + 1)
    assert on_call.states() == [("given_up", 2)]
    on_call.step(28 * DAY)
    assert on_call.states() == []


def test_a_channel_that_fails_keeps_nothing_from_another(centre: Centre) -> None:
    broken, sound = Kept("broken"), Kept("sound")
    broken.fails = True
    on_call = OnCall(centre, broken, sound)
    on_call.found = [DISK]
    with pytest.raises(NotDelivered):
        on_call.step()
    assert sound.told == [[("raised", "disk.low", "/data")]]


def test_that_alerts_are_not_delivered_is_no_alert_but_the_doctor_says_it(
    on_call: OnCall, kept: Kept, centre: Centre, tmp_path: Path
) -> None:
    on_call.found, kept.fails = [DISK], True
    with pytest.raises(NotDelivered):
        on_call.step()
    said = examine(Settings(data_dir=str(tmp_path)), centre.engine, centre.now + 61 * MINUTE)
    (untold,) = [one for one in said.ailments if one.code == "alerts.undelivered"]
    assert "The kept channel is away" in untold.say
    own = Ailment(level="wrong", code="chore.failing", about="alerts", say="It fails.", do="Mend it.")
    on_call.found, kept.fails = [DISK, untold, own], False
    on_call.step(2 * MINUTE)
    assert kept.told == [[("raised", "disk.low", "/data")]]


def test_a_real_alarm_of_a_real_centre_reaches_a_real_mail_server(
    centre: Centre, tmp_path: Path, post: MailServer
) -> None:
    settings = Settings(
        data_dir=str(tmp_path), alert_mail_to="ops@shop.example, boss@shop.example", smtp_port=post.port,
        alert_mail_from="tally@shop.example", public_url="https://loyalty.example", disk_free_mb=1, secure_cookies=True,
    )  # fmt: skip
    alerts = Alerts(settings, centre.engine, CentreClock(centre))
    with writing(centre.engine) as tx:
        raise_alarm(tx, "block_differs", "f" * 32, NOW)
    alerts.step()
    alerts.step()
    (mail,) = post.taken
    assert mail["Subject"].startswith("Tallypoint: ")
    assert mail["To"] == "ops@shop.example, boss@shop.example"
    text = mail.get_content()
    assert "A till was told another block of this number." in text
    assert "(alarm.block_differs)" in text
    assert "https://loyalty.example" in text
    with reading(centre.engine) as tx:
        raised = tx.execute(select(func.count()).select_from(alert)).scalar_one()
        assert tx.execute(select(func.count()).where(notice.c.state == "sent")).scalar_one() == raised


@pytest.fixture
def post() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def told(*found: Ailment, kind: str = "raised") -> list[Notice]:
    return [Notice(id=f"n{i}", kind=kind, at_ms=NOW, level=one.level, code=one.code, about=one.about, say=one.say,
                   do=one.do) for i, one in enumerate(found)]  # type: ignore[arg-type]  # fmt: skip


def test_the_subject_names_the_worst_and_no_label_can_add_a_header(post: MailServer) -> None:
    mail = Mail(Settings(alert_mail_to="ops@shop.example", smtp_port=post.port))
    mail.send(told(SILENT, DISK))
    odd = Ailment(level="wrong", code="till.silent", about="Lane\r\nBcc: x@y.example", say="Not heard.", do="Ask.")
    mail.send(told(odd))
    mail.send(told(SILENT, kind="cleared"))
    subjects = [one["Subject"] for one in post.taken]
    assert subjects == [
        "Tallypoint: /data: 10 MB are free. (and 1 more)",
        "Tallypoint: Lane Bcc: x@y.example: Not heard.",
        "Tallypoint: over: S1 Lane: Not heard for 25 hours.",
    ]
    assert [one["Bcc"] for one in post.taken] == [None, None, None]
    # The same message has the same id, whenever it is sent.
    mail.send(told(SILENT, DISK))
    assert post.taken[0]["Message-ID"] == post.taken[3]["Message-ID"]


def test_a_mail_server_that_refuses_or_is_not_there_or_wants_a_password(post: MailServer, tmp_path: Path) -> None:
    secret = tmp_path / "smtp"
    secret.write_text("letmein\n")
    settings = Settings(alert_mail_to="ops@shop.example", smtp_port=post.port, smtp_password_file=str(secret))
    post.refuses = 451
    with pytest.raises(NotDelivered, match="451"):
        Mail(settings).send(told(DISK))
    post.refuses, post.password = 0, "letmein"
    with pytest.raises(NotDelivered):
        Mail(settings).send(told(DISK))
    known = Settings(alert_mail_to="ops@shop.example", smtp_port=post.port, smtp_password_file=str(secret),
                     smtp_user="tally")  # fmt: skip
    Mail(known).send(told(DISK))
    assert len(post.taken) == 1
    secret.write_text("wrong\n")
    with pytest.raises(NotDelivered, match="535") as refused:
        Mail(known).send(told(DISK))
    assert "wrong" not in str(refused.value)
    with pytest.raises(NotDelivered, match="ConnectionRefused"):
        Mail(Settings(alert_mail_to="ops@shop.example", smtp_port=1)).send(told(DISK))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_mail_goes_over_tls_to_a_server_whose_certificate_holds_and_to_no_other(
    post: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.vouch("localhost")
    post.secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    post.secure.load_cert_chain(certificate, key)
    post.starts_plain = security == "starttls"
    mail = Mail(Settings(alert_mail_to="ops@shop.example", smtp_host="localhost", smtp_port=post.port,
                         smtp_security=security))  # type: ignore[arg-type]  # fmt: skip
    with pytest.raises(NotDelivered, match="SSLCert"):
        mail.send(told(DISK))
    assert post.taken == []
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    mail.send(told(DISK))
    assert post.was_secure == [True]


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: HookServer = self.server  # type: ignore[assignment]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.taken.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: a test is quiet."""


class HookServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.taken: list[tuple[str, str, dict]] = []
        self.status = 204


@pytest.fixture
def hook() -> Iterator[HookServer]:
    server = HookServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_is_sent_the_same_as_json(hook: HookServer) -> None:
    url = f"http://127.0.0.1:{hook.server_address[1]}/hooks/s3cret"
    Webhook(Settings(alert_webhook=url, public_url="https://loyalty.example")).send(told(DISK))
    ((path, kind, body),) = hook.taken
    assert (path, kind, body["type"], body["source"]) == (
        "/hooks/s3cret", "application/json", "alerts.v1", "https://loyalty.example",
    )  # fmt: skip
    assert body["notices"] == [
        {"id": "n0", "kind": "raised", "level": "danger", "code": "disk.low", "about": "/data",
         "say": "10 MB are free.", "do": "Free some space.", "at_ms": NOW}
    ]  # fmt: skip


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_success_is_none_and_is_not_followed(hook: HookServer, status: int) -> None:
    hook.status = status
    url = f"http://127.0.0.1:{hook.server_address[1]}/hooks/s3cret"
    with pytest.raises(NotDelivered, match=str(status)) as refused:
        Webhook(Settings(alert_webhook=url)).send(told(DISK))
    assert len(hook.taken) == 1
    assert "s3cret" not in str(refused.value)


def test_a_webhook_that_is_not_there_is_not_quoted() -> None:
    with pytest.raises(NotDelivered) as refused:
        Webhook(Settings(alert_webhook="http://127.0.0.1:1/s3cret")).send(told(DISK))
    assert "s3cret" not in str(refused.value)


def test_the_settings_name_the_ways_out() -> None:
    assert channels_of(Settings()) == ()
    both = channels_of(Settings(alert_mail_to="a@b.example", alert_webhook="https://c.example"))
    assert [one.name for one in both] == ["mail", "webhook"]


def test_the_command_lists_what_was_told_and_tries_the_channels_out(
    on_call: OnCall, kept: Kept, post: MailServer, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_call.found, kept.fails = [DISK, SILENT], True
    with pytest.raises(NotDelivered):
        on_call.step()
    url = on_call.centre.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TALLYPOINT_CENTRAL_DATABASE_URL", url)
    office = ["central", "alerts", "--data", str(tmp_path)]
    assert main([*office, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {row["code"] for row in said["alerts"]} == {"disk.low", "till.silent"}
    assert {(row["channel"], row["tries"]) for row in said["untold"]} == {("kept", 1)}
    assert main([*office, "--test"]) == 2
    assert "(alerts.no_channel)" in capsys.readouterr().err
    monkeypatch.setenv("TALLYPOINT_CENTRAL_ALERT_MAIL_TO", "ops@shop.example")
    monkeypatch.setenv("TALLYPOINT_CENTRAL_SMTP_PORT", str(post.port))
    assert main([*office, "--test"]) == 0
    assert [mail["Subject"] for mail in post.taken] == ["Tallypoint: This is a test."]
    post.refuses = 451
    assert main([*office, "--test"]) == 3
    assert "(alerts.not_delivered)" in capsys.readouterr().err
