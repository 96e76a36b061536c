"""Readers on ports of a till: what they read waits for the POS, shows on the display, and is counted in the status."""

import os
import pty
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.api.answers import ScannedSaid
from edge.devices.readers import Readers
from loyalty.cards.cards import Card
from loyalty.cards.wallet_codes import sign_app_code
from loyalty.programme.programme import read_programme
from pos_adapters.readers.shipped import make_profile
from tests.edge.rim import CARD, PAYMENT, PROGRAMME, Rim

APP = Ed25519PrivateKey.from_private_bytes(b"A" * 32)
CARDS = f"""  ranges: [{{kind: ean13, prefix: "20"}}, {{kind: uid, prefix: "", length: 10}}]
  phone: {{country: "48", digits: [9]}}
  wallet: {{app_keys: [{{key_no: 1, public_key: "{APP.public_key().public_bytes_raw().hex()}"}}]}}
"""
EAN = bytes.fromhex("12F300000B") + b"2012345678903" + bytes.fromhex("FC4E")  # 12+F3+0B+13x30+50 = 3B2


class Counter:
    """A till with readers on pseudo-terminals."""

    def __init__(self, folder: Path, *profiles: str) -> None:
        self.rim = Rim(folder)
        self.rim.cache.load_programme(
            read_programme(PROGRAMME.replace('  ranges: [{kind: ean13, prefix: "20"}]\n', CARDS))
        )
        self.lines, self._ports, made = [], [], []
        for name in profiles:
            line, port = pty.openpty()
            self.lines.append(line)
            self._ports.append(port)
            made.append(make_profile({"profile": name, "port": os.ttyname(port), "idle_ms": 200}))
        self.readers = Readers(self.rim.desk, made)
        self.rim.health._readers = self.readers.health
        self.readers.start()
        self.wait(lambda: all(one.state == "up" for one in self.readers.health()))

    def sends(self, data: bytes, reader: int = 0) -> dict:
        """What the POS finds of it."""
        before = self.readers.last(None).cursor
        os.write(self.lines[reader], data)
        self.wait(lambda: self.readers.last(None).cursor > before)
        said = self.readers.last(before)
        return {
            "code": said.code, "say": said.say, "outcome": said.scan.outcome if said.scan else "",
            "token": said.scan.card_token if said.scan else None,
            "warned": [one.code for one in said.scan.warnings] if said.scan else [],
        }  # fmt: skip

    def wait(self, happens: Callable[[], object]) -> None:
        until = time.monotonic() + 20
        while not happens():
            assert time.monotonic() < until
            time.sleep(0.02)

    def close(self) -> None:
        self.readers.stop()
        for one in (*self.lines, *self._ports):
            os.close(one)


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Callable[..., Counter]]:
    opened = []

    def make(*profiles: str) -> Counter:
        opened.append(Counter(tmp_path, *profiles))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_three_kinds_of_reader_at_one_till(counter):
    till = counter("zebra-ssi", "msr-omni", "rdm6300")
    card = till.sends(EAN)
    assert (card["outcome"], os.read(till.lines[0], 64)) == ("card", bytes.fromhex("04D00400FF28"))
    assert till.rim.desk.screens.now().phase == "member"
    assert till.sends(f";{PAYMENT}=29011010000?\r".encode(), 1)["code"] == "card.payment_card"
    tag = till.sends(b"\x0262E3086CED08\x03", 2)
    assert tag["outcome"] == "card" and "card.too_weak" in tag["warned"]
    assert till.sends(b"\x0262E3086CED09\x03", 2)["code"] == "card.tag_checksum"


def test_a_signed_code_is_checked_by_the_reader_and_good_once(counter):
    till = counter("generic")
    now_ms = till.rim.clock.now().wall_ms
    code = f"]Q1{sign_app_code(APP, 1, CARD, now_ms // 30_000)}\r".encode()
    first = till.sends(code)
    assert first["token"] == till.rim.desk.till.identify(CARD).card_token
    again = till.sends(code)
    assert (again["code"], again["outcome"]) == ("card.unreadable", "")
    assert "used here already" in again["say"]
    old = sign_app_code(APP, 1, CARD, now_ms // 30_000 - 2)
    assert till.sends(f"]Q1{old}\r".encode())["code"] == "card.token_expired"


def test_a_card_that_nobody_can_look_up_does_not_end_the_reading(counter, caplog, monkeypatch):
    till = counter("generic")

    def fails(card: Card) -> None:
        raise ArithmeticError(f"nobody foresaw {card.number}")

    monkeypatch.setattr(till.rim.desk.till, "identify_card", fails)
    card = till.sends(f"]E0{CARD}\r".encode())
    assert (card["code"], card["outcome"]) == ("internal.error", "")
    assert "could not look it up" in card["say"]
    assert till.sends(b"]E04006381333931\r")["outcome"] == "code"
    assert "ArithmeticError at " in caplog.text and CARD not in caplog.text


def test_what_is_scanned_in_a_row_is_handed_to_the_pos_one_by_one(counter):
    till = counter("generic")
    os.write(till.lines[0], f"]E0{CARD}\r]E04006381333931\r]E02012345678904\r".encode())
    till.wait(lambda: till.readers.health()[0].frames == 3 and till.readers.last(None).cursor == 3)
    first, second, third = (till.readers.last(n) for n in range(3))
    assert (first.cursor, first.scan.outcome) == (1, "card")
    assert (second.cursor, second.scan.text) == (2, "4006381333931")
    assert (third.cursor, third.scan, third.code) == (3, None, "card.check_digit")
    nothing = ScannedSaid(cursor=3, scan=None)
    assert (till.readers.last(None), till.readers.last(3)) == (third, nothing)
    till.rim.clock.mono_ms += 60_001
    assert till.readers.last(0) == till.readers.last(None) == nothing
    till.wait(lambda: not till.readers._scans)


def test_a_pos_with_a_higher_cursor_from_before_the_till_was_started_anew_gets_what_was_scanned_since(counter):
    till = counter("generic")
    os.write(till.lines[0], f"]E0{CARD}\r]E04006381333931\r".encode())
    till.wait(lambda: till.readers.last(None).cursor == 2)
    first = till.readers.last(17)  # the cursor of a run before this one
    assert (first.cursor, first.scan.outcome) == (1, "card")
    assert till.readers.last(first.cursor).scan.text == "4006381333931"


def test_the_status_tells_how_readers_are(counter):
    till = counter("generic", "rdm6300")
    till.sends(f"{PAYMENT}\r".encode())
    till.sends(b"]E02012345678904\r")
    till.sends(b"2012345678903\r")
    os.write(till.lines[0], b"]E0201")
    till.wait(lambda: dict(till.readers.health()[0].rejects).get("unfinished"))
    scanner, tags = till.rim.client.get("/v1/status").json["readers"]
    assert (scanner["name"], scanner["state"], scanner["frames"], scanner["payment_cards"]) == ("generic", "up", 4, 1)
    assert scanner["rejects"] == {"check_digit": 1, "unfinished": 1}
    # The payment card and the last card came without a code id.
    assert (scanner["opened"], scanner["without_code_id"], scanner["dropped"]) == (1, 2, 0)
    assert 0 <= scanner["last_rx_age_s"] < 20 and tags["last_rx_age_s"] is None
    figures = till.rim.client.get("/metrics").text
    assert 'reader_rejects_total{reader="generic",reason="check_digit"} 1' in figures
    assert PAYMENT[:6] not in figures


def test_typed_numbers_over_http(counter):
    till = counter()
    phone = till.rim.post("/v1/cards/identify", {"card": "600 123 456", "keyed": True})
    assert (phone.json["outcome"], phone.json["member"]["card"], phone.json["text"]) == ("card", "", "")
    assert "600123456" not in phone.text.replace(" ", "")
    assert till.rim.post("/v1/cards/identify", {"card": "600 123 456"}).json["outcome"] == "code"
    refused = till.rim.post("/v1/cards/identify", {"card": "4111 1111 1111 1111", "keyed": True})
    assert (refused.status_code, refused.json["code"]) == (422, "card.payment_card")
    assert "1111" not in refused.text
