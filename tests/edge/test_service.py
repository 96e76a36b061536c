"""A till service as it runs: a real server on a port of its own, streams, readers, the lock, and the way it stops."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from edge.folder import AlreadyRunning, FolderUnusable
from edge.identity import write_identity_file
from edge.line.enrol import enrol
from edge.ports import Settings, SystemClock
from edge.service import NotEnrolled, TillService, reader_profiles
from edge.web.server import PortTaken
from pos_adapters.readers.profile import BadReaderProfile
from tests.edge.rim import CARD, PAYMENT, commit, furnish, identity, quote, settings
from tests.edge.test_health import wait_for
from tests.edge.test_room import fill
from tests.support.small_disks import small_disk

ROOT = Path(__file__).parents[2]


@pytest.fixture
def open_service(tmp_path: Path) -> Iterator[Callable[..., TillService]]:
    opened: list[TillService] = []

    def make(**more: Any) -> TillService:
        service = TillService(settings(tmp_path / "till", **more), identity=identity(), port=0)
        opened.append(service)
        furnish(service.journal, service.cache, service.clock)
        service.start()
        return service

    yield make
    for service in opened:
        service.stop()


def test_a_sale_over_a_real_server(open_service: Callable[..., TillService]):
    url = open_service().url
    told = requests.post(f"{url}/v1/quotes", json=quote(), timeout=5).json()
    assert told["totals"]["net_minor"] == 1050
    paid = requests.post(f"{url}/v1/receipts", json=commit(digest=told["digest"]), timeout=5)
    assert (paid.status_code, paid.json()["event"]["seq"]) == (201, 2)


def test_a_body_that_is_too_large_is_answered_as_a_problem(open_service: Callable[..., TillService]):
    url = open_service().url
    answer = requests.post(
        f"{url}/v1/quotes", data=b" " * 1_000_000, headers={"Content-Type": "application/json"}, timeout=5
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


def test_a_sale_outlives_the_service(open_service: Callable[..., TillService], tmp_path: Path):
    first = open_service()
    text = requests.post(f"{first.url}/v1/receipts", json=commit(), timeout=5).json()["text"]
    first.stop()
    second = open_service()
    again = requests.post(f"{second.url}/v1/receipts", json=commit(), timeout=5)
    assert (again.status_code, again.json()["text"]) == (200, text)


def test_a_screen_follows_a_sale_while_eight_are_open_and_the_pos_is_still_served(
    open_service: Callable[..., TillService],
):
    url = open_service().url
    screens = [requests.get(f"{url}/events", stream=True, timeout=10) for _ in range(8)]
    followed = [events(screen) for screen in screens]
    assert {next(one)["phase"] for one in followed} == {"idle"}
    assert requests.get(f"{url}/events", timeout=5).status_code == 503
    requests.post(f"{url}/v1/quotes", json=quote(), timeout=5)
    assert {next(one)["totals"]["net_minor"] for one in followed} == {1050}
    for screen in screens:
        screen.close()


def test_a_screen_that_goes_away_makes_room(open_service: Callable[..., TillService]):
    service = open_service()
    screen = requests.get(f"{service.url}/events", stream=True, timeout=10)
    next(events(screen))
    assert service.desk.screens.count() == 1
    screen.close()
    # The loss is seen when a state no longer goes through.
    for _ in range(3):
        requests.post(f"{service.url}/v1/quotes", json=quote(), timeout=5)
    wait_for(lambda: service.desk.screens.count() == 0)


def test_stopping_ends_open_streams_at_once(open_service: Callable[..., TillService]):
    service = open_service()
    screen = requests.get(f"{service.url}/events", stream=True, timeout=10)
    follow = events(screen)
    next(follow)
    service.stop()
    with pytest.raises((StopIteration, requests.RequestException)):
        next(follow)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{service.url}/v1/status", timeout=5)


def test_two_services_never_share_a_data_folder(open_service: Callable[..., TillService], tmp_path: Path):
    first = open_service()
    with pytest.raises(AlreadyRunning) as refused:
        TillService(settings(tmp_path / "till"), identity=identity(), port=0)
    assert refused.value.code == "service.already_running"
    assert "Stop it first" in refused.value.say
    first.stop()
    open_service()


def test_a_taken_port_is_a_clear_fault_and_leaves_the_folder_free(
    open_service: Callable[..., TillService], tmp_path: Path
):
    port = int(open_service().url.rsplit(":", 1)[1])
    for _ in range(2):
        with pytest.raises(PortTaken) as refused:
            TillService(settings(tmp_path / "other"), identity=identity(), port=port)
    assert (refused.value.code, refused.value.figures) == ("service.port_taken", {"port": port})


def test_a_name_with_two_addresses_is_listened_on_at_one_and_a_name_of_none_says_what_to_correct(
    open_service: Callable[..., TillService], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def looked_up(host: str, port: Any, *rest: Any, **more: Any) -> list[tuple[Any, ...]]:
        """Debian's `localhost` is an address of IPv6 and one of IPv4; nobody here is called `till-3`."""
        if host == "till-3":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", int(port or 0), 0, 0))
        four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))
        return [six, four] if host == "localhost" else [four]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", looked_up)
        service = open_service(listen_host="localhost")
        with pytest.raises(PortTaken) as refused:
            TillService(
                settings(tmp_path / "other", listen_host="till-3", pos_token="secret"), identity=identity(), port=0
            )
    assert requests.get(service.url.replace("localhost", "127.0.0.1") + "/v1/status", timeout=5).status_code == 200
    assert "till-3:0: Name or service not known" in refused.value.say
    assert "correct listen_host and listen_port" in refused.value.say


def test_a_till_sells_where_the_network_of_its_store_is_not_up_yet_and_listens_there_once_it_is(
    open_service: Callable[..., TillService], caplog: pytest.LogCaptureFixture
):
    with socket.socket() as somebody_else:
        somebody_else.bind(("127.0.0.1", 0))
        somebody_else.listen()
        port = somebody_else.getsockname()[1]
        service = open_service(lan_listen=f"127.0.0.1:{port}")
        assert requests.post(f"{service.url}/v1/quotes", json=quote(), timeout=5).status_code == 200
        assert "correct lan_listen" in caplog.text
        assert "lan" in {one["chore"] for one in requests.get(f"{service.url}/v1/status", timeout=5).json()["chores"]}
        with pytest.raises(PortTaken):
            service.listen_to_peers()
    for _ in range(2):  # once is enough
        service.listen_to_peers()
    assert requests.post(f"http://127.0.0.1:{port}/lan/v1/rights", data=b"", timeout=5).status_code == 403
    service.stop()
    with pytest.raises(requests.ConnectionError):
        requests.post(f"http://127.0.0.1:{port}/lan/v1/rights", data=b"", timeout=5)


def test_the_other_tills_are_answered_at_an_address_of_ipv6_too(
    open_service: Callable[..., TillService], monkeypatch: pytest.MonkeyPatch
):
    look_up = socket.getaddrinfo

    def looked_up(host: str, *rest: Any, **more: Any) -> list[tuple[Any, ...]]:
        """Not every machine that tests has IPv6."""
        return look_up("127.0.0.1" if host == "::1" else host, *rest, **more)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", looked_up)
        open_service(lan_listen=f"[::1]:{port}")
    assert requests.post(f"http://127.0.0.1:{port}/lan/v1/rights", data=b"", timeout=5).status_code == 403


def test_a_folder_without_a_till_says_how_to_enrol(tmp_path: Path):
    with pytest.raises(NotEnrolled) as refused:
        TillService(settings(tmp_path), port=0)
    assert "tallypoint edge enrol" in refused.value.say
    assert "see that its disk is mounted" in refused.value.say


def test_a_data_folder_that_can_be_none_is_told_in_words_at_start_and_at_enrolment(tmp_path: Path):
    (tmp_path / "till").write_text("a file")
    asked = settings(tmp_path / "till", centre_url="http://127.0.0.1:1")
    for begin in (
        lambda: TillService(asked, identity=identity(), port=0),
        lambda: enrol(asked, SystemClock(), code="7ABC-9DEF-1GHJ-2KMN", fingerprint="x",
                      exchange=lambda url, body: pytest.fail(url), random_bytes=os.urandom),
    ):  # fmt: skip
        with pytest.raises(FolderUnusable) as refused:
            begin()
        assert "cannot hold a till's data: File exists. Set data_dir to a folder" in refused.value.say


# Card readers


def test_a_card_scanned_at_the_reader_waits_for_the_pos_and_shows_on_the_display(
    open_service: Callable[..., TillService],
):
    scanner, port = pty.openpty()
    service = open_service(reader_port=os.ttyname(port))
    last = f"{service.url}/v1/cards/last"
    assert requests.get(last, timeout=5).json() == {"cursor": 0, "scan": None, "say": "", "code": ""}
    wait_for(lambda: service.readers.health()[0].state == "up")
    os.write(scanner, f"]E0{CARD}\r".encode())
    wait_for(lambda: requests.get(last, timeout=5).json()["cursor"] == 1)
    told = requests.get(f"{last}?after=0", timeout=5).json()
    assert told["scan"]["member"]["card"] == "…8903"
    quoted = requests.post(f"{service.url}/v1/quotes", json=quote(card=told["scan"]["card_token"]), timeout=5).json()
    assert quoted["member"]["card"] == "…8903"
    assert requests.get(f"{last}?after=1", timeout=5).json()["scan"] is None

    os.write(scanner, f"{PAYMENT}\r".encode())
    wait_for(lambda: requests.get(f"{last}?after=1", timeout=5).json()["cursor"] == 2)
    refused = requests.get(f"{last}?after=1", timeout=5)
    assert refused.json()["code"] == "card.payment_card"
    assert "Use the payment terminal" in refused.json()["say"]
    assert "4111" not in refused.text
    status = requests.get(f"{service.url}/v1/status", timeout=5).json()
    assert [(one["name"], one["state"], one["payment_cards"]) for one in status["readers"]] == [("reader", "up", 1)]

    os.write(scanner, b"]E04006381333931\r]C0AB-12\r")
    wait_for(lambda: requests.get(last, timeout=5).json()["cursor"] == 4)
    goods = requests.get(f"{last}?after=2", timeout=5).json()
    assert (goods["cursor"], goods["scan"]["outcome"]) == (3, "code")
    assert (goods["scan"]["text"], goods["scan"]["aim"]) == ("4006381333931", "]E0")
    assert requests.get(f"{last}?after=3", timeout=5).json()["scan"]["text"] == "AB-12"
    os.close(scanner)
    os.close(port)


def test_a_reader_is_set_up_by_its_profile_file(tmp_path: Path):
    profile = tmp_path / "scanner.yaml"
    profile.write_text("name: scanner\nbaud: 115200\nsuffix: crlf\n")
    made = reader_profiles(Settings(data_dir="x", reader_port="/dev/null", reader_profile=str(profile)))[0]
    assert (made.name, made.port, made.baud, made.suffix) == ("scanner", "/dev/null", 115200, "crlf")
    profile.write_text("baud: 12\n")
    with pytest.raises(BadReaderProfile) as refused:
        reader_profiles(Settings(data_dir="x", reader_port="/dev/null", reader_profile=str(profile)))
    assert "baud" in refused.value.say


def test_readers_of_the_settings_name_shipped_profiles_and_overrule_their_fields():
    made = reader_profiles(
        Settings(
            data_dir="x",
            readers=(
                {"port": "/dev/ttyS0", "profile": "zebra-ssi", "baud": 19200, "name": "front"},
                {"port": "/dev/ttyS1", "profile": "rdm6300"},
            ),
        )
    )
    assert [(one.name, one.port, one.framing, one.baud) for one in made] == [
        ("front", "/dev/ttyS0", "ssi", 19200), ("rdm6300", "/dev/ttyS1", "stx_etx", 9600),
    ]  # fmt: skip


# The whole process


RUN = "import sys; from edge.service import run_till; from edge.ports import Settings; run_till(Settings(**{}))"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_cleanly(tmp_path: Path, number: signal.Signals):
    write_identity_file(tmp_path, identity())
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format({"data_dir": str(tmp_path), "listen_port": free_port()})],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = "".join(process.stdout.readline() for _ in range(4))
        url = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert url is not None, said
        assert requests.get(f"{url[0]}/v1/status", timeout=5).json()["ready"] is False
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "Nothing is lost" in rest


def events(screen: requests.Response) -> Iterator[dict[str, Any]]:
    for line in screen.iter_lines(chunk_size=1):
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


# What its machine does to it


def test_a_service_whose_journal_is_damaged_salvages_it_sells_on_and_says_so(
    open_service: Callable[..., TillService], tmp_path: Path
):
    (tmp_path / "stick").mkdir()
    first = open_service(tail_path=str(tmp_path / "stick"))
    paid = requests.post(f"{first.url}/v1/receipts", json=commit(), timeout=5).json()
    assert (first.settings.folder / "ballast").stat().st_size == 16_000_000
    first.stop()
    assert (tmp_path / "stick" / "tallypoint-tail").read_text().splitlines()[-1].split()[1:3] == ["1", "2"]
    db = first.settings.folder / "journal.db"
    db.write_bytes(bytes(4_096) + db.read_bytes()[4_096:])
    second = open_service(tail_path=str(tmp_path / "stick"))
    assert (second.identity.epoch > 2**31, second.journal.outbox.suspended()) == (True, "journal.salvaged")
    again = requests.post(f"{second.url}/v1/receipts", json=commit(), timeout=5)
    assert (again.status_code, again.json()["text"]) == (200, paid["text"])
    told = requests.post(f"{second.url}/v1/receipts", json=commit(receipt_id="R2"), timeout=5)
    assert (told.status_code, told.json()["event"]["seq"]) == (201, 2)
    status = requests.get(f"{second.url}/v1/status", timeout=5).json()
    assert (status["ballast"], status["tail_trouble"], status["stream"]["left_unsent"]) == (True, "", 2)
    second.stop()
    third = TillService(second.settings, port=0)  # which finds in its folder who it is
    third.start()
    assert (third.identity.epoch, third.journal.head().seq) == (second.identity.epoch, 2)
    third.stop()


def test_a_till_that_is_started_on_a_full_disk_gives_up_its_ballast_and_sells(tmp_path: Path):
    with small_disk(tmp_path / "disk", 48) as disk:
        first = TillService(settings(disk / "till"), identity=identity(), port=0)
        furnish(first.journal, first.cache, first.clock)
        first.start()
        first.stop()
        assert (disk / "till" / "ballast").stat().st_size == 16_000_000
        fill(disk / "somebody-elses.log")
        second = TillService(settings(disk / "till"), identity=identity(), port=0)
        second.start()
        try:
            assert not (disk / "till" / "ballast").exists()
            assert requests.post(f"{second.url}/v1/receipts", json=commit(), timeout=5).status_code == 201
        finally:
            second.stop()


def test_a_tail_that_cannot_be_kept_is_in_the_status_and_the_figures(
    open_service: Callable[..., TillService], tmp_path: Path
):
    service = open_service(tail_path=str(tmp_path / "gone" / "tail"))
    assert requests.post(f"{service.url}/v1/receipts", json=commit(), timeout=5).status_code == 201
    status = requests.get(f"{service.url}/v1/status", timeout=5).json()
    assert status["tail_trouble"] == "No such file or directory"
    assert "tallypoint_till_tail_failing 1" in requests.get(f"{service.url}/metrics", timeout=5).text
