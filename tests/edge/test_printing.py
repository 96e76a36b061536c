"""The till's own printer on a serial port: slips come out, through unplugging and paper, and no sale waits for it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from edge.devices.printing import MOST_WAITING, STALE_S, PrinterBusy, Printing
from edge.devices.serial_line import LINE_TROUBLE, LineSetup, LineTimeout, open_line, send
from edge.service import TillService
from loyalty.baskets import Tender
from receipt_templates.as_escpos import print_job
from receipt_templates.compose import blocks_of
from receipt_templates.profiles import PROFILES
from receipt_templates.sample_slips import sample_named
from tests.edge.paper import FarEnd, wait_until
from tests.edge.rim import Rim, commit, furnish, identity, settings
from tests.edge.test_exchanging import swap
from tests.receipt_templates.escpos_decoder import Seen, decode_escpos, pages_of
from tests.receipt_templates.samples import harbour

PROFILE = PROFILES["generic-42"]
Start = Callable[..., Printing]


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[FarEnd]:
    far = FarEnd(tmp_path / "printer")
    yield far
    far.pull_out()


@pytest.fixture
def start(printer: FarEnd) -> Iterator[Start]:
    started: list[Printing] = []

    def make(**more: Any) -> Printing:
        printing = Printing(LineSetup(port=str(printer.path)), PROFILE, **more)
        started.append(printing)
        printing.start()
        return printing

    yield make
    for printing in started:
        assert printing.stop(5.0)


def job_of(**changed: Any) -> bytes:
    return print_job(blocks_of(harbour(**changed)), PROFILE).data


def paper(printer: FarEnd) -> Seen:
    return decode_escpos(printer.taken(), pages_of(PROFILE))


def test_a_slip_comes_out_whole(printer: FarEnd, start: Start):
    printing = start()
    assert printing.print(harbour())
    wait_until(lambda: printing.health().printed == 1, "printed")
    wait_until(lambda: printer.taken() == job_of(), "every byte arrives")
    assert paper(printer).text.splitlines()[4].split() == ["Receipt", "A-2026-00917"]
    assert printing.health().paper == "unknown"


def test_slips_come_out_in_their_order(printer: FarEnd, start: Start):
    printing = start()
    for number in ("A-1", "A-2", "A-3"):
        printing.print(harbour(number=number))
    wait_until(lambda: printing.health().printed == 3, "all three")
    wait_until(lambda: paper(printer).codes == [("qr", "A-1"), ("qr", "A-2"), ("qr", "A-3")], "in order")


def test_a_slip_is_printed_from_its_first_line_again_after_the_cable_was_pulled(printer: FarEnd, start: Start):
    printing = start()
    printing.print(harbour(number="A-1"))
    wait_until(lambda: printing.health().printed == 1, "the first")
    printer.pull_out()
    printing.print(harbour(number="A-2"))
    wait_until(lambda: printing.health().state == "down", "noticed")
    health = printing.health()
    assert (health.waiting, health.printed, bool(health.trouble)) == (1, 1, True)
    printer.plug_in()
    wait_until(lambda: printing.health().printed == 2, "printed once it is back")
    wait_until(lambda: printer.taken().endswith(job_of(number="A-2")), "whole")
    health = printing.health()
    assert (health.opened, health.state, health.waiting, health.trouble) == (2, "up", 0, "")


def test_a_printer_that_is_not_there_at_first_prints_when_it_comes(printer: FarEnd, start: Start):
    printer.pull_out()
    printing = start()
    printing.print(harbour())
    wait_until(lambda: printing.health().trouble, "it is missed")
    assert printing.health().state == "down"
    printer.plug_in()
    wait_until(lambda: printing.health().printed == 1, "printed")


def test_a_printer_without_paper_keeps_the_slip_until_it_has_some(tmp_path: Path):
    far = FarEnd(tmp_path / "two-way", answers=True)
    far.paper = 0x12 | 0x60  # both sensors of the roll's end
    printing = Printing(LineSetup(port=str(far.path)), PROFILE)
    printing.start()
    try:
        printing.print(harbour())
        wait_until(lambda: printing.health().state == "held", "held")
        health = printing.health()
        assert (health.paper, health.waiting, health.trouble) == ("out", 1, "the printer has no paper")
        assert far.taken() == b""
        far.paper = 0x12 | 0x0C  # new roll, nearly at its end
        wait_until(lambda: printing.health().printed == 1, "printed")
        wait_until(lambda: far.taken() == job_of(), "whole")
        assert (printing.health().paper, printing.health().state, printing.health().trouble) == ("low", "up", "")
    finally:
        assert printing.stop(5.0)
        far.pull_out()


def test_a_printer_that_says_it_is_offline_is_waited_for(tmp_path: Path):
    far = FarEnd(tmp_path / "two-way", answers=True)
    far.state = 0x12 | 0x08  # cover open
    printing = Printing(LineSetup(port=str(far.path)), PROFILE)
    printing.start()
    try:
        printing.print(harbour())
        wait_until(lambda: printing.health().state == "held", "held")
        assert printing.health().trouble == "the printer is offline"
        far.state = 0x12
        wait_until(lambda: printing.health().printed == 1, "printed")
    finally:
        assert printing.stop(5.0)
        far.pull_out()


def test_too_many_slips_are_refused_and_counted_and_nobody_waits(tmp_path: Path):
    printing = Printing(LineSetup(port=str(tmp_path / "nothing")), PROFILE)
    assert all(printing.print(harbour()) for _ in range(MOST_WAITING))
    began = time.monotonic()
    assert printing.print(harbour()) is False
    assert time.monotonic() - began < 0.5
    assert (printing.health().waiting, printing.health().refused) == (MOST_WAITING, 1)
    with pytest.raises(PrinterBusy, match="16 receipts wait"):
        printing.print_again(harbour())


def test_a_slip_whose_customer_has_gone_is_thrown_away(printer: FarEnd):
    now = [1000.0]
    printing = Printing(LineSetup(port=str(printer.path)), PROFILE, monotonic_s=lambda: now[0])
    printing.print(harbour(number="A-1"))
    now[0] += STALE_S + 1
    printing.print(harbour(number="A-2"))
    printing.start()
    wait_until(lambda: printing.health().printed == 1, "the fresh one")
    assert printing.stop(5.0)
    assert printing.health().stale == 1
    wait_until(lambda: paper(printer).codes == [("qr", "A-2")], "and it alone")


def test_the_drawer_opens_with_a_new_sale_in_cash_and_with_no_other(printer: FarEnd, start: Start):
    printing = start(drawer=True)
    card = (Tender(kind="card", amount_minor=1348),)
    for view in (harbour(), harbour(copy=True), harbour(tenders=card), harbour(training=True)):
        printing.print(view)
    wait_until(lambda: printing.health().printed == 4, "all four")
    wait_until(lambda: len(paper(printer).cuts) == 4, "arrived")
    assert paper(printer).drawer == 1
    assert printer.taken().startswith(b"\x1b@\x1c.\x1bt\x13\x1bp\x00\x19\xfa")


def test_the_drawer_opens_with_an_exchange_in_cash_too(printer: FarEnd, start: Start):
    printing, in_card = start(drawer=True), sample_named("exchange")
    cash = msgspec.structs.replace(in_card.sold, tenders=(Tender(kind="cash", amount_minor=392),))
    for view in (in_card, msgspec.structs.replace(in_card, sold=cash)):
        printing.print(view)
    wait_until(lambda: len(paper(printer).cuts) == 2, "both")
    assert paper(printer).drawer == 1


def test_letters_that_the_printer_lacks_are_counted(printer: FarEnd, start: Start):
    printing = start()
    printing.print(harbour(cashier="茶"))
    wait_until(lambda: printing.health().lost_letters == 1, "counted")


def test_a_slip_that_cannot_be_laid_out_keeps_no_other_waiting(printer: FarEnd, start: Start):
    printing = start()
    printing.print(harbour(currency="???"))
    printing.print(harbour(number="A-2"))
    wait_until(lambda: printing.health().printed == 1, "the next one")
    wait_until(lambda: paper(printer).codes == [("qr", "A-2")], "it alone")


def test_stopping_does_not_wait_for_a_printer_that_takes_nothing(tmp_path: Path):
    class Stuck:
        out_waiting = 1

        def read(self, size: int = 1, /) -> bytes:
            return b""

        def write(self, data: bytes, /) -> int:
            return len(data)

        def reset_input_buffer(self) -> None: ...

        def close(self) -> None: ...

    printing = Printing(LineSetup(port="x"), PROFILE, connect=lambda setup: Stuck())
    printing.print(harbour())
    printing.start()
    wait_until(lambda: printing.health().opened >= 1, "opened")
    began = time.monotonic()
    assert printing.stop(3.0)
    assert time.monotonic() - began < 2.0
    assert printing.health().printed == 0


def test_a_line_that_takes_nothing_is_a_trouble_after_its_time():
    class Full:
        out_waiting = 7

        def write(self, data: bytes, /) -> int:
            return len(data)

    now = iter(range(100))
    with pytest.raises(LineTimeout, match="7 bytes are not taken"):
        send(Full(), b"x", monotonic_s=lambda: float(next(now)), pause=lambda s: None)  # type: ignore[arg-type]


def test_a_port_belongs_to_one_of_us(printer: FarEnd):
    first = open_line(LineSetup(port=str(printer.path)))
    with pytest.raises(LINE_TROUBLE):
        open_line(LineSetup(port=str(printer.path)))
    first.close()


# At the till


@pytest.fixture
def rim(tmp_path: Path, printer: FarEnd) -> Iterator[Rim]:
    rim = Rim(tmp_path, printer_port=str(printer.path), receipt_profile="epson-tm-t88v")
    rim.peripherals.start()
    yield rim
    rim.peripherals.stop()


def codes(printer: FarEnd) -> list[tuple[str, str]]:
    return decode_escpos(printer.taken(), pages_of(PROFILES["epson-tm-t88v"])).codes


def printed(printer: FarEnd) -> Seen:
    return decode_escpos(printer.taken(), pages_of(PROFILES["epson-tm-t88v"]))


def test_a_sale_prints_itself_once_and_a_retry_does_not(rim: Rim, printer: FarEnd):
    assert rim.post("/v1/receipts", commit()).status_code == 201
    assert rim.post("/v1/receipts", commit()).status_code == 200
    wait_until(lambda: codes(printer) == [("qr", "R1")], "one slip")
    time.sleep(0.3)
    assert codes(printer) == [("qr", "R1")]
    assert rim.client.get("/v1/status").json["printer"]["printed"] == 1
    assert "tallypoint_till_printer_printed_total 1" in rim.client.get("/metrics").text


def test_a_void_and_a_return_print_themselves(rim: Rim, printer: FarEnd):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/receipts/R1/void", {})
    rim.post("/v1/receipts", commit(receipt_id="R2"))
    rim.post("/v1/returns", {"return_id": "B1", "of": "R2", "lines": [{"line": 2, "quantity": "1.000"}]})
    wait_until(lambda: len(decode_escpos(printer.taken(), pages_of(PROFILES["epson-tm-t88v"])).cuts) == 4, "four slips")
    text = decode_escpos(printer.taken(), pages_of(PROFILES["epson-tm-t88v"])).text
    assert ("VOID" in text, "RETURN" in text) == (True, True)


def test_a_slip_is_printed_again_as_a_copy(rim: Rim, printer: FarEnd):
    rim.post("/v1/receipts", commit())
    answer = rim.client.post("/v1/receipts/R1/print?language=pl")
    assert (answer.status_code, answer.json["receipt_id"], answer.json["copy"]) == (202, "R1", True)
    wait_until(lambda: len(codes(printer)) == 2, "both")
    text = decode_escpos(printer.taken(), pages_of(PROFILES["epson-tm-t88v"])).text
    assert (text.count("*** KOPIA ***"), text.count("COPY")) == (2, 0)
    assert rim.client.post("/v1/receipts/nothing/print").status_code == 404
    assert rim.client.post("/v1/receipts/R1/print?copy=perhaps").status_code == 400


def test_an_exchange_and_the_close_of_a_day_are_printed_again(rim: Rim, printer: FarEnd):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/exchanges", swap())
    rim.post("/v1/day-close", {"business_date": "2026-03-05"})
    wait_until(lambda: len(printed(printer).cuts) == 3, "three slips")
    already = len(printed(printer).lines)
    for name in ("X1", "till_close:2026-03-05"):
        answer = rim.client.post(f"/v1/receipts/{name}/print")
        assert (answer.status_code, answer.json["receipt_id"], answer.json["copy"]) == (202, name, True)
    wait_until(lambda: len(printed(printer).cuts) == 5, "both again")
    again = [" ".join(line.text.split()) for line in printed(printer).lines[already:]]
    assert [again.index(row) for row in ("EXCHANGE", "TO PAY EUR 6.40", "TILL CLOSE", "Sales, net 19.40")] == sorted(
        again.index(row) for row in ("EXCHANGE", "TO PAY EUR 6.40", "TILL CLOSE", "Sales, net 19.40")
    )
    assert again.count("*** COPY ***") == 4
    # What waited to be sent when the day was closed nobody knows any more; what waits now is no part of that day.
    first = [" ".join(line.text.split()) for line in printed(printer).lines[:already]]
    assert "Not sent yet 5" in first
    assert not [row for row in again if row.startswith("Not sent yet")]
    assert rim.client.post("/v1/receipts/till_close:2026-03-06/print").status_code == 404


def test_a_practised_slip_is_printed_again_where_it_is_asked_for_as_practised(rim: Rim, printer: FarEnd):
    rim.post("/v1/receipts", {**commit(), "training": True})
    assert rim.client.post("/v1/receipts/R1/print").status_code == 404
    assert rim.client.post("/v1/receipts/R1/print?training=true").status_code == 202
    wait_until(lambda: "TRAINING" in decode_escpos(printer.taken(), pages_of(PROFILES["epson-tm-t88v"])).text, "it")
    assert rim.client.get("/v1/fiscal-lines/R1").status_code == 404
    assert rim.client.get("/v1/fiscal-lines/R1?training=true").status_code == 200


def test_a_sale_is_answered_whatever_became_of_the_printer(rim: Rim, printer: FarEnd):
    printer.pull_out()
    for number in range(MOST_WAITING + 4):
        assert rim.post("/v1/receipts", commit(receipt_id=f"R{number}")).status_code == 201
    wait_until(lambda: rim.client.get("/v1/status").json["printer"]["state"] == "down", "told")
    said = rim.client.get("/v1/status").json["printer"]
    assert said["dropped"] >= 3 and said["waiting"] >= MOST_WAITING
    refused = rim.client.post("/v1/receipts/R1/print")
    assert (refused.status_code, refused.json["code"]) == (503, "printer.queue_full")


def test_a_till_without_a_printer_says_where_the_text_is(tmp_path: Path):
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit())
    refused = rim.client.post("/v1/receipts/R1/print")
    assert (refused.status_code, refused.json["code"]) == (409, "printer.none")
    assert rim.client.get("/v1/status").json["printer"] is None


def test_nothing_of_a_queue_is_written_to_disk(rim: Rim, tmp_path: Path):
    rim.post("/v1/receipts", commit())
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if b"\x1b@\x1c." in path.read_bytes()]


def test_an_exchange_is_one_slip_and_the_close_another(rim: Rim, printer: FarEnd):
    rim.post("/v1/receipts", commit())
    sale = {key: value for key, value in commit(receipt_id="R2").items() if key not in ("quote_id", "sold_at")}
    back = {"return_id": "B1", "of": "R1", "lines": [{"line": 2, "quantity": "1.000"}]}
    body = {"exchange_id": "X1", "sold_at": "2026-03-05T18:40:00+01:00", "return": back, "receipt": sale}
    assert rim.post("/v1/exchanges", body).status_code == 201
    assert rim.post("/v1/exchanges", body).status_code == 200
    assert rim.post("/v1/day-close", {"business_date": "2026-03-05"}).status_code == 201
    pages = pages_of(PROFILES["epson-tm-t88v"])
    wait_until(lambda: len(decode_escpos(printer.taken(), pages).cuts) == 3, "three slips")
    time.sleep(0.3)
    seen = decode_escpos(printer.taken(), pages)
    assert len(seen.cuts) == 3
    assert [seen.text.count(word) for word in ("EXCHANGE", "TILL CLOSE")] == [1, 1]


def test_what_is_practised_is_printed_with_its_marks(rim: Rim, printer: FarEnd):
    assert rim.post("/v1/receipts", commit(training=True)).status_code == 201
    pages = pages_of(PROFILES["epson-tm-t88v"])
    wait_until(lambda: decode_escpos(printer.taken(), pages).cuts, "one slip")
    seen = decode_escpos(printer.taken(), pages)
    assert (seen.text.count("*** TRAINING ***"), seen.codes) == (2, [])


def test_a_whole_service_prints_and_stops_in_order(tmp_path: Path, printer: FarEnd):
    service = TillService(
        settings(tmp_path / "till", printer_port=str(printer.path), display_port=str(tmp_path / "none")),
        identity=identity(), port=0,
    )  # fmt: skip
    furnish(service.journal, service.cache, service.clock)
    service.start()
    try:
        assert requests.post(f"{service.url}/v1/receipts", json=commit(), timeout=5).status_code == 201
        wait_until(lambda: paper(printer).codes == [("qr", "R1")], "one slip")
        status = requests.get(f"{service.url}/v1/status", timeout=5).json()
        assert (status["printer"]["state"], status["pole_display"]["state"]) == ("up", "down")
    finally:
        service.stop()
    assert service.peripherals.printer_said().state == "stopped"  # type: ignore[union-attr]
