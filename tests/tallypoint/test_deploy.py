"""What lies in deploy/ works: TLS before head office by a real nginx, and units that systemd understands."""

import http.client
import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from sqlalchemy import select

from central.database.tables import stream
from central.ports import Settings, reading
from central.service import CentralService
from central.web_server import WebServer
from edge.ports import Settings as TillSettings
from edge.service import TillService
from sync.envelope import MAX_BODY_BYTES
from sync.wire import BATCH_PATH
from tallypoint.cli import main
from tests.support.certificates import Authority
from tests.support.needs import require
from tests.support.nginx import in_front_of

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "tallypoint"
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())


def wait_for(is_so: Callable[[], object], seconds: float = 40.0) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.05)


class Office:
    """Head office behind nginx, with a certificate of our own authority."""

    def __init__(self, service: CentralService, tls: int, plain: int, authority: Authority, folder: Path) -> None:
        self.service, self.authority, self.folder = service, authority, folder
        self.url, self.plain_url = f"https://localhost:{tls}", f"http://localhost:{plain}"
        self.tls = tls

    def post(self, path: str, body: bytes) -> requests.Response:
        return requests.post(self.url + path, data=body, verify=str(self.authority.file), timeout=20)

    def get(self, path: str, *, from_: str = "127.0.0.1", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        secure = ssl.create_default_context(cafile=str(self.authority.file))
        line = http.client.HTTPSConnection("localhost", self.tls, timeout=20, context=secure, source_address=(from_, 0))
        line.request("GET", path, headers=headers)
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    data = ["--data", str(folder / "centre")]
    assert main(["central", "coalition", str(SHIPPED / "coalitions" / "harbour.yaml"), *data]) == 0
    assert main(["central", "publish", str(SHIPPED / "programmes" / "harbour.yaml"), *data]) == 0
    settings = Settings(data_dir=str(folder / "centre"), trusted_proxy="127.0.0.1", secure_cookies=True)
    service = CentralService(settings, port=0)
    service.start()
    authority = Authority(folder / "certificates", "ours")
    port = int(service.url.rsplit(":", 1)[1])
    try:
        with in_front_of(port, folder / "nginx", *authority.vouch("localhost")) as (tls, plain):
            yield Office(service, tls, plain, authority, folder)
    finally:
        service.stop()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def enrol(office: Office, capsys: pytest.CaptureFixture[str], folder: Path, ca: Path, label: str) -> int:
    """Enrol a till through the proxy; the exit status."""
    capsys.readouterr()
    data = ["--data", str(office.folder / "centre")]
    shown = said(capsys, "central", "init", *data)["fingerprint"]
    slot = said(capsys, "central", "slot", "--store", "leith", "--label", label, *data)
    settings = folder / "till.yaml"
    settings.write_text(
        yaml.safe_dump({"data_dir": str(folder / "till"), "centre_url": office.url, "centre_ca": str(ca)})
    )
    return main(["edge", "enrol", "--settings", str(settings), "--code", slot["code"], "--fingerprint", shown])


def test_a_till_enrols_and_uploads_through_the_proxy(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enrol(office, capsys, tmp_path, office.authority.file, "1") == 0
    settings = TillSettings(
        data_dir=str(tmp_path / "till"), centre_url=office.url, centre_ca=str(office.authority.file)
    )
    till = TillService(settings, port=0)
    till.start()
    try:
        wait_for(lambda: till.journal.head().seq and till.journal.backlog() == 0)
        wait_for(lambda: till.cache.programmes())
    finally:
        till.stop()
    with reading(office.service.engine) as tx:
        arrived = tx.execute(select(stream.c.seq).where(stream.c.till_id == till.identity.till_id)).scalar_one()
    assert arrived == till.journal.head().seq


def test_a_certificate_of_another_authority_is_refused_and_nothing_is_kept(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Authority(tmp_path / "other", "theirs")
    assert enrol(office, capsys, tmp_path, other.file, "2") == 3
    assert "(line.untrusted)" in capsys.readouterr().err
    assert not (tmp_path / "till" / "identity.json").exists()
    # Nor do the authorities of the web vouch for it.
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(office.url + "/healthz", timeout=20)


def test_a_body_beyond_a_batch_is_refused_by_the_proxy_and_one_below_reaches_head_office(office: Office) -> None:
    refused = office.post(BATCH_PATH, b"x" * (MAX_BODY_BYTES + 1))
    assert (refused.status_code, "nginx" in refused.text) == (413, True)
    reached = office.post(BATCH_PATH, b"x" * MAX_BODY_BYTES)
    assert reached.status_code in (400, 413, 422)
    assert "nginx" not in reached.text
    assert office.post("/console/login", b"x" * 9_000).status_code == 413


def test_the_way_in_is_over_tls_alone_and_says_so(office: Office) -> None:
    redirected = requests.get(office.plain_url + "/console/", timeout=20, allow_redirects=False)
    assert (redirected.status_code, redirected.headers["Location"]) == (301, "https://localhost/console/")
    status, headers, body = office.get("/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Server"] == "nginx"
    status, headers, _ = office.get("/console/login")
    assert status == 200
    assert "Secure" in headers["Set-Cookie"] and "HttpOnly" in headers["Set-Cookie"]
    assert office.get("/somewhere")[0] == 404


def test_figures_are_for_this_machine_alone(office: Office) -> None:
    status, _, body = office.get("/metrics")
    assert (status, b"tallypoint_centre_open_period" in body) == (200, True)
    assert office.get("/metrics", from_="127.0.0.9")[0] == 403


def test_passwords_cannot_be_tried_without_end(office: Office) -> None:
    answers = [office.get("/console/login", from_="127.0.0.33")[0] for _ in range(20)]
    assert answers[:10] == [200] * 10
    assert 429 in answers


@pytest.fixture
def mirror() -> Iterator[int]:
    """A server of ours that says who asked it, as its application sees it."""

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        seen = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_FORWARDED_HOST")
        return [json.dumps({name: environ.get(name) for name in seen}).encode()]

    server = WebServer(app, host="127.0.0.1", port=0, threads=4, trusted_proxy="127.0.0.1")
    server.start()
    yield int(server.url.rsplit(":", 1)[1])
    server.stop()


FORGED = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "Forwarded": "for=6.6.6.6",
          "X-Forwarded-Host": "evil.example"}  # fmt: skip


def test_where_a_request_comes_from_is_believed_of_the_proxy_alone(mirror: int, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates", "ours")
    with in_front_of(mirror, tmp_path / "nginx", *authority.vouch("localhost")) as (tls, _):
        secure = ssl.create_default_context(cafile=str(authority.file))
        line = http.client.HTTPSConnection(
            "localhost", tls, timeout=20, context=secure, source_address=("127.0.0.2", 0)
        )
        line.request("GET", "/healthz", headers=FORGED)
        seen = json.loads(line.getresponse().read())
    # The proxy's word about the client, and none of the client's own.
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.2", "https")
    assert "6.6.6.6" not in json.dumps(seen) and "evil.example" not in json.dumps(seen)
    # Straight to head office, past the proxy, from an address that is not the proxy's.
    direct = http.client.HTTPConnection("127.0.0.1", mirror, timeout=20, source_address=("127.0.0.3", 0))
    direct.request("GET", "/healthz", headers=FORGED)
    seen = json.loads(direct.getresponse().read())
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("127.0.0.3", "http")
    assert seen["HTTP_X_FORWARDED_FOR"] is None


# systemd


def verified(folder: Path, units: dict[str, str]) -> list[str]:
    """What systemd has to say of units by name; an instance on port 8700 stands for a template."""
    if not shutil.which("systemd-analyze"):
        require("no systemd-analyze: apt-get install systemd")
    for name, text in units.items():
        # The command is not installed here; a program that is there stands for it.
        (folder / name).write_text(text.replace("/opt/tallypoint/.venv/bin/tallypoint", "/bin/true"))
    names = [f"./{name.replace('@.', '@8700.')}" for name in units]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    # Units of this machine may have faults of their own.
    said = [line for line in done.stderr.splitlines() if "tallypoint" in line]
    return said + ([f"status {done.returncode}"] if done.returncode else [])


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    assert verified(tmp_path, {unit.name: unit.read_text("utf-8") for unit in UNITS}) == []


def test_a_unit_with_a_word_that_systemd_does_not_know_would_be_noticed(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "systemd" / "tallypoint-worker.service").read_text("utf-8")
    (said,) = verified(tmp_path, {"tallypoint-worker.service": text.replace("UMask=", "UMusk=")})
    assert "UMusk" in said


def sections(unit: Path) -> dict[str, dict[str, list[str]]]:
    """A unit as it says: keys may come more than once."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", [one for one in UNITS if one.suffix == ".service"], ids=lambda one: one.name)
def test_a_unit_starts_a_command_that_exists_under_nobodys_rights_but_its_own(
    unit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = sections(unit)["Service"]
    (command,) = service["ExecStart"]
    words = re.sub("%i", "8700", command).split()
    assert words[0] == "/opt/tallypoint/.venv/bin/tallypoint"
    with pytest.raises(SystemExit) as ended:
        main([*words[1:], "--help"])
    assert ended.value.code == 0
    known = capsys.readouterr().out
    assert [word for word in words if word.startswith("--") and word not in known] == []
    assert service["User"] == ["tallypoint"]
    for name, value in {
        "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "UMask": "0077",
        "StateDirectoryMode": "0700", "CapabilityBoundingSet": "",
    }.items():  # fmt: skip
        assert service[name] == [value]


def test_services_come_back_by_themselves_and_a_till_never_gives_up() -> None:
    for name in ("tallypoint-till.service", "tallypoint-centre@.service", "tallypoint-worker.service"):
        unit = sections(ROOT / "deploy" / "systemd" / name)
        assert unit["Service"]["Restart"] == ["always"]
        assert unit["Unit"]["StartLimitIntervalSec"] == ["0"]
