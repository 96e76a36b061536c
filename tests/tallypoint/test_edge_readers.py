"""`tallypoint edge readers` and `edge decode`: a store is set up by what they show, and a payment card is not shown."""

import io
import json
import os
import pty
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loyalty.cards.cards import CardRules
from pos_adapters.readers.decoding import Decoded
from pos_adapters.readers.framer import Frame
from pos_adapters.readers.shipped import make_profile, shipped_names
from tallypoint.cli import main
from tallypoint.edge.readers import Watched, port_trouble
from tests.pos_adapters.dialects import EACH

PROGRAMME = """
id: shop
currency: EUR
cards:
  ranges:
    - {kind: ean13, prefix: "2037"}
    - {kind: ean13, prefix: "042"}
    - {kind: luhn, prefix: "982630", length: 16}
    - {kind: gsrn, prefix: "735005385"}
    - {kind: uid, prefix: "", length: 8}
    - {kind: uid, prefix: "", length: 10}
    - {kind: uid, prefix: "", length: 14}
    - {kind: uid, prefix: "", length: 20}
    - {kind: printed, prefix: "000"}
  phone: {country: "48", digits: [9], short_digits: 6}
"""


@pytest.fixture
def programme(tmp_path: Path) -> str:
    path = tmp_path / "programme.yaml"
    path.write_text(PROGRAMME)
    return str(path)


def decoded(capsys, *arguments: str) -> dict:
    assert main(["edge", "decode", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def in_short(message: dict) -> str:
    what = message["outcome"]
    if what == "card":
        return f"card {message['kind']} {message['number']}"
    if what == "rejected":
        return f"rejected {message['reason']}"
    return f"code {message['text']}" if what == "code" else what


@pytest.mark.parametrize(("dialect", "sample"), [row[:2] for row in EACH], ids=[row[2] for row in EACH])
def test_every_sample_is_decoded_as_it_is_at_the_till(capsys, programme, dialect, sample):
    overrules = [part for name, value in dialect.override.items() for part in ("--set", f"{name}={value}")]
    arguments = ["--profile", dialect.profile, "--programme", programme, "--hex", sample.hex, *overrules]
    if not sample.outcomes:
        assert main(["edge", "decode", "--json", *arguments]) == 1
        return
    told = decoded(capsys, *arguments)
    assert [in_short(one) for one in told["messages"]] == sample.meanings
    assert bytes.fromhex(told["replies"]) == bytes.fromhex(sample.replies)


def test_the_answer_has_the_documented_shape(capsys, programme):
    told = decoded(capsys, "--programme", programme, "--profile", "em-clone", "--hex", "02353030303843303839310D0A03")
    assert told == {
        "profile": "em-clone",
        "messages": [
            {
                "outcome": "card", "length": 10, "hex": "35 30 30 30 38 43 30 38 39 31", "kind": "uid",
                "number": "50008C0891", "assurance": "uid", "alias": "0009177233",
            }
        ],
        "replies": "",
    }  # fmt: skip
    told = decoded(capsys, "--programme", programme, "--hex", b"]E04006381333931\r".hex())
    assert told["messages"] == [
        {
            "outcome": "code", "length": 16, "hex": b"]E04006381333931".hex(" ").upper(), "text": "4006381333931",
            "aim": "]E0",
        }
    ]  # fmt: skip


HIDDEN = [
    ("generic", b"4242 4242 4242 4242\r"),
    ("generic", b"4242424242424242"),  # the suffix is missing
    ("generic", b"42424242"),  # half of it came
    ("msr-magtek", b";4242424242424242=29011010000?\r"),
    ("msr-lrc", b";4242424242424243=29011010000?0\r"),  # a digit misread, a wrong LRC: still most of a number
    ("msr-magtek", b";4242424242424243=29011010000?\r"),  # the same of a reader that sends no LRC
    ("msr-magtek", b"%E?;E?+014242424242424242=7247880000000000?\r"),
    # A bank's card with a loyalty number on its third track: the loyalty card is taken.
    ("msr-magtek", b"%B4242424242424242^DOE/JANE^29011010000?;4242424242424242=29011010000?+9826300000000015?\r"),
]


@pytest.mark.parametrize(("profile", "wire"), HIDDEN)
@pytest.mark.parametrize("form", [["--json"], []])
def test_nothing_of_a_payment_card_is_printed(capsys, monkeypatch, programme, profile, wire, form):
    monkeypatch.setattr(sys, "stdin", io.StringIO(wire.hex()))
    assert main(["edge", "decode", "--profile", profile, "--programme", programme, "--hex", "-", *form]) == 0
    said = "".join(capsys.readouterr())
    assert "4242" not in said and "34 32 34 32" not in said and "34323432" not in said
    assert "bytes" in said or '"length"' in said


def test_the_list_names_every_shipped_profile(capsys):
    assert main(["edge", "decode", "--list", "--json"]) == 0
    assert tuple(one["profile"] for one in json.loads(capsys.readouterr().out)) == shipped_names()
    assert main(["edge", "decode", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(shipped_names())


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["decode", "--hex", "5D4"], "command.bad_hex"),
        (["decode", "--hex", "zz"], "command.bad_hex"),
        (["decode", "--profile", "nonesuch", "--hex", "0D"], "reader.bad_profile"),
        (["decode", "--set", "baud=fast", "--hex", "0D"], "reader.bad_profile"),
        (["readers"], "edge.no_readers"),
        (["readers", "--port", "nonsense://x"], "reader.bad_profile"),
        (["readers", "--port", "hwgrep://["], "reader.bad_profile"),
    ],
)
def test_what_cannot_be_done_says_what_to_write(capsys, arguments, code):
    assert main(["edge", *arguments]) in (2, 3)
    assert code in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--profile", "zebra_cr", "--hex", "0D"], "There is no reader profile zebra_cr. Did you mean zebra-cr"),
        (["--profile", "zebra-cr.yml", "--hex", "0D"], "There is no file zebra-cr.yml that can be read."),
        (["--set", "suffix=none", "--hex", "0D"], "suffix is one of: cr, lf, crlf, tab, any."),
        (["--set", "sufix=cr", "--hex", "0D"], "The fields are: name, port, about, kind, baud, "),
        ([], "Give the bytes that the reader sends: --hex '5D 45 30 32 0D'"),
        (["--hex", "0D", "--programme", "none.yaml"], "none.yaml cannot be read: No such file or directory. Name a"),
    ],
)
def test_what_was_mistyped_is_said_with_what_can_be_typed(capsys, arguments, sentence):
    assert main(["edge", "decode", *arguments]) in (2, 3)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ("/dev/no-such-reader", "There is no /dev/no-such-reader. Plug the reader in; /dev/serial/by-id names"),
        ("/dev/null", "/dev/null is no serial port."),
        ("/dev", "/dev is no serial port."),
        ("hwgrep://ffff:ffff", "No USB device is hwgrep://ffff:ffff. Plug the reader in;"),
        ("socket://127.0.0.1:1", "socket://127.0.0.1:1 does not answer. Look at the serial server,"),
    ],
)
def test_a_port_that_is_none_is_said_so_and_nothing_worked(capsys, port, sentence):
    assert main(["edge", "readers", "--port", port, "--for", "0.5"]) == 1
    assert sentence in capsys.readouterr().out


def test_a_field_is_not_overruled_in_silence_where_the_readers_are_those_of_the_settings(tmp_path, capsys):
    settings = tmp_path / "till.yaml"
    settings.write_text(f"data_dir: {tmp_path}\nreaders:\n  - {{port: /dev/no-such-reader}}\n")
    for added in (["--set", "suffix=lf"], ["--profile", "honeywell"]):
        assert main(["edge", "readers", "--settings", str(settings), "--for", "0.5", *added]) == 3
        assert "give --port too" in capsys.readouterr().err


def watched(profile: str) -> Watched:
    return Watched(make_profile({"port": "x", "profile": profile}), CardRules(), lambda: None, queue.Queue())


@pytest.mark.parametrize(
    ("profile", "wire", "sentence"),
    [
        ("rdm6300", b"50008C0891\r\n", "10 bytes that are in no message. Check framing and baud rate"),
        ("generic", b"\xe3" * 2100, "A message without an end. Check suffix, framing and baud rate"),
        ("zebra-ssi", b"\x00\x01\x02", "3 bytes that are in no message."),
        ("zebra-ssi", b"\x04\xf6\x00\x00\x00\x00", "1 packets with a wrong checksum, asked for again."),
    ],
)
def test_what_is_no_message_is_told_once_for_else_the_reader_would_seem_dead(profile, wire, sentence):
    one = watched(profile)
    assert one.thrown_away() == []
    one.loop._framer.feed(wire, 0)
    (told,) = one.thrown_away()
    assert told.startswith(sentence)
    assert one.thrown_away() == []


def test_a_reader_that_is_pulled_out_is_told_with_what_to_do():
    gone = "device reports readiness to read but returned no data (device disconnected or multiple access on port?)"
    assert port_trouble("/dev/ttyACM0", gone) == (
        "/dev/ttyACM0 was pulled out, or somebody else reads it too. Plug it in; only one may read."
    )
    said = port_trouble("/dev/ttyACM0", "[Errno 5] Input/output error")
    assert said == "/dev/ttyACM0: [Errno 5] Input/output error. Look at its cable; it is tried again by itself."


def test_bytes_without_a_message_say_so(capsys):
    assert main(["edge", "decode", "--hex", "0D0A"]) == 1
    assert "suffix" in capsys.readouterr().out


class Listening:
    """`edge readers` as a process, its lines one by one."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tallypoint.cli", "edge", "readers", "--json", *arguments],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._timer = threading.Timer(30, self._process.kill)
        self._timer.start()

    def line(self) -> dict:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stop(self) -> str:
        self._process.terminate()
        rest, _ = self._process.communicate(timeout=20)
        self._timer.cancel()
        return rest


def test_a_message_cut_short_is_told_at_once_and_nothing_of_it_is_kept():
    said: queue.Queue = queue.Queue()
    one = Watched(make_profile({"port": "x"}), CardRules(), lambda: None, said)
    one.loop._hand_on(Frame(bytearray(b"42424242"), whole=False), 0)
    assert said.get_nowait() == ("generic", Decoded(outcome="unfinished", length=8))
    assert one._glimpse is None


def test_what_a_reader_sends_is_shown_live_and_a_port_in_use_says_who_has_it(programme):
    scanner, port = pty.openpty()
    name = os.ttyname(port)
    first = Listening("--port", name, "--programme", programme)
    assert first.line() == {"reader": "generic", "state": f"up on {name}"}
    os.write(scanner, b"]E02037215727383\r4242424242424242\r]C0AB-12\r")
    assert (first.line()["number"], first.line()["outcome"]) == ("2037215727383", "payment_card")
    assert first.line()["text"] == "AB-12"
    os.write(scanner, b"42424242")
    os.write(scanner, b"")
    second = Listening("--port", name)
    assert second.line()["state"] == (
        f"down: Somebody has {name} open. Stop the till service first, which owns its readers."
    )
    second.stop()
    assert "4242" not in first.stop()
    os.close(scanner)
    os.close(port)


def test_readers_of_the_settings_are_listened_to_for_a_while(tmp_path, capsys, programme):
    scanner, port = pty.openpty()
    settings = tmp_path / "till.yaml"
    settings.write_text(
        f"data_dir: {tmp_path}\nreaders:\n  - {{port: {os.ttyname(port)}, profile: rdm6300, name: door}}\n"
    )
    writer = threading.Timer(0.7, os.write, (scanner, b"\x0262E3086CED08\x03noise\x0262E3086CED08\x03"))
    writer.start()
    arguments = ["--settings", str(settings), "--programme", programme, "--for", "2"]
    assert main(["edge", "readers", *arguments]) == 0
    said = capsys.readouterr().out
    assert "door         up on" in said
    assert said.count("door         5 bytes that are in no message.") == 1
    assert said.count("uid 62E3086CED, shown as uid, 0000552173 printed on it") == 1
    os.close(scanner)
    os.close(port)
