"""Framer and interpreter: the same messages come out however the bytes are delivered, and none of them stays."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty.cards.cards import CardRules, Outcome
from pos_adapters.readers.framer import Frame, Framer, wipe
from pos_adapters.readers.interpreter import Interpreter
from pos_adapters.readers.profile import BadReaderProfile, Profile
from tests.pos_adapters.samples import RULES, SAMPLES, Sample, meaning

EVERY = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def profile(**setup) -> Profile:
    return Profile(name="scanner", port="/dev/null", **setup)


class Bench:
    """A reader on the bench: bytes at a time of our choosing, outcomes in a list."""

    def __init__(self, rules: CardRules = RULES, **setup) -> None:
        self.framer = Framer(profile(**setup))
        self.interpreter = Interpreter(rules, profile(**setup))
        self.outcomes: list[Outcome] = []

    def send(self, data: bytes, at_ms: int) -> None:
        self._take(self.framer.feed(data, at_ms), at_ms)

    def wait(self, until_ms: int) -> None:
        self._take(self.framer.tick(until_ms), until_ms)

    def _take(self, frames: list[Frame], at_ms: int) -> None:
        outcomes = [self.interpreter.interpret(frame, at_ms) for frame in frames]
        self.outcomes += [outcome for outcome in outcomes if outcome is not None]

    def meanings(self) -> list[str]:
        return [meaning(outcome) for outcome in self.outcomes]


@EVERY
def test_a_message_that_comes_whole(sample: Sample):
    bench = Bench(**sample.setup)
    bench.send(sample.wire, 0)
    bench.wait(10_000)
    assert bench.meanings() == sample.meanings


@EVERY
def test_a_message_that_comes_one_byte_at_a_time(sample: Sample):
    bench = Bench(**sample.setup)
    for at_ms, byte in enumerate(sample.wire):
        bench.wait(at_ms)
        bench.send(bytes([byte]), at_ms)
    bench.wait(10_000)
    assert bench.meanings() == sample.meanings


@EVERY
def test_a_message_with_the_next_one_behind_it(sample: Sample):
    bench = Bench(**sample.setup)
    if sample.setup.get("framing") == "idle":
        bench.send(sample.wire, 0)
        bench.send(sample.wire, 100)  # only silence parts these
    else:
        bench.send(sample.wire + sample.wire, 0)
    bench.wait(10_000)
    assert bench.meanings() == sample.meanings * 2


@EVERY
def test_nothing_of_a_message_stays_in_the_buffers(sample: Sample):
    framer = Framer(profile(**sample.setup))
    frames = framer.feed(sample.wire, 0) + framer.tick(10_000)
    assert framer._buffer == b""
    sizes = [len(frame.data) for frame in frames]
    for frame in frames:
        Interpreter(RULES, profile(**sample.setup)).interpret(frame, 0)
    assert [bytes(frame.data) for frame in frames] == [bytes(size) for size in sizes]


def test_silence_inside_a_message_shorter_than_the_limit_keeps_it():
    bench = Bench(suffix="cr", idle_ms=500)
    bench.send(b"]E0203721", 0)
    bench.wait(499)
    bench.send(b"5727383\r", 499)
    assert bench.meanings() == ["card ean13 2037215727383"]


def test_an_unfinished_message_is_given_up_and_counted():
    bench = Bench(suffix="cr", idle_ms=500)
    bench.send(b"]E0203721", 0)
    bench.wait(500)
    bench.send(b"]C0A\r", 600)
    assert bench.meanings() == ["code A"]
    assert bench.interpreter.rejects == {"unfinished": 1}


def test_a_payment_card_is_refused_even_when_the_suffix_is_missing():
    bench = Bench(suffix="cr", idle_ms=500)
    bench.send(b"4242424242424242", 0)
    bench.wait(500)
    assert bench.meanings() == ["payment_card"]


def test_a_payment_card_is_refused_even_when_its_etx_was_lost():
    bench = Bench(framing="stx_etx")
    bench.send(b"\x02;4242424242424242=29011010000?\x02]C0A\x03", 0)
    assert bench.meanings() == ["payment_card", "code A"]
    bench.send(b"\x02]C0LOST\x02]C0B\x03", 0)
    assert bench.meanings() == ["payment_card", "code A", "code B"]
    assert bench.interpreter.rejects == {"unfinished": 1}


def test_bytes_that_are_in_no_message_are_counted_but_for_line_ends():
    bench = Bench(framing="stx_etx")
    bench.send(b"4242\x02]C0A\x03\r\n\x02]C0B\x03\r\n", 0)
    assert bench.framer.dropped == {"outside": 4}


@pytest.mark.parametrize("setup", [{"suffix": "cr"}, {"suffix": "crlf"}, {"framing": "stx_etx"}])
def test_a_message_that_is_too_long_goes_whole_and_the_next_one_comes(setup):
    start, end = {"cr": (b"", b"\r"), "crlf": (b"", b"\r\n")}.get(setup.get("suffix"), (b"\x02", b"\x03"))
    bench = Bench(max_bytes=16, **setup)
    bench.send(start + b"x" * 40 + end + start + b"]C0A" + end, 0)
    assert bench.meanings() == ["code A"]
    assert bench.framer.dropped == {"too_long": 1}


def test_a_stream_without_an_end_takes_no_more_room_than_one_message():
    bench = Bench(framing="idle", idle_ms=100, max_bytes=16)
    for at_ms in range(0, 5_000, 50):
        bench.send(b"y" * 100, at_ms)
        assert len(bench.framer._buffer) <= 18
    bench.wait(6_000)
    bench.send(b"]C0A", 6_000)
    bench.wait(7_000)
    assert bench.meanings() == ["code A"]


def test_pulling_the_plug_forgets_the_half_that_came():
    bench = Bench(suffix="cr")
    bench.send(b"]E0203721", 0)
    bench.framer.reset()
    bench.send(b"]C0A\r", 1)
    assert bench.meanings() == ["code A"]


def test_a_scanner_that_lost_its_aim_setting_is_counted_and_still_read():
    bench = Bench(suffix="cr")
    bench.send(b"2037215727383\r]E02037215727383\r]E04006381333931\r]E02037215727384\r4242424242424242\r", 0)
    assert bench.interpreter.without_aim == 2
    assert bench.interpreter.outcomes == {"card": 2, "code": 1, "rejected": 1, "payment_card": 1}
    assert bench.interpreter.rejects == {"check_digit": 1}


@pytest.mark.parametrize("wrong", [{"idle_ms": 5}, {"max_bytes": 9000}, {"port": ""}])
def test_a_profile_that_cannot_work_is_refused(wrong):
    with pytest.raises(BadReaderProfile):
        Profile(**{"name": "scanner", "port": "/dev/null", **wrong})


def test_a_profile_is_read_from_the_settings():
    read = msgspec.yaml.decode("{name: scanner, port: /dev/serial/by-id/x, suffix: crlf, baud: 115200}", type=Profile)
    assert (read.suffix, read.baud, read.framing) == ("crlf", 115200, "suffix")
    with pytest.raises(msgspec.ValidationError):
        msgspec.yaml.decode("{name: scanner, port: x, baud: 9601}", type=Profile)


def test_wiping_overwrites_the_bytes_where_they_lie():
    data = bytearray(b"4242424242424242")
    where = memoryview(data)
    wipe(data)
    assert bytes(where) == bytes(16)


SETUPS = st.sampled_from([sample.setup for sample in SAMPLES])
CHUNKS = st.lists(st.binary(max_size=12) | st.sampled_from([b"\r", b"\n", b"\x02", b"\x03", b"\t", b"]E0", b"4242"]))


@given(SETUPS, CHUNKS)
def test_any_bytes_give_the_same_frames_however_they_are_cut(setup, chunks):
    whole, cut = Framer(profile(max_bytes=16, **setup)), Framer(profile(max_bytes=16, **setup))
    frames = whole.feed(b"".join(chunks), 0) + whole.tick(10_000)
    pieces = [frame for chunk in chunks for frame in cut.feed(chunk, 0)] + cut.tick(10_000)
    assert frames == pieces
    for frame in frames:
        Interpreter(RULES, profile(**setup)).interpret(frame, 0)


# first digits, length: 14 and more, since shorter ones may be goods
SCHEMES = [
    ("4", 16), ("4", 19), ("51", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16), ("649", 16),
    ("300", 14), ("36", 14), ("39", 19), ("3528", 16), ("3589", 16), ("62", 19), ("50", 18), ("58", 14), ("67", 19),
    ("2200", 16), ("2204", 19), ("60", 16), ("81", 16), ("82", 16), ("508", 16), ("9792", 16), ("636368", 16),
]
SHAPES = [
    "{0}", "card {0}.", "{1}", "{2}", "%B{0}^DOE/JANE^29011010000?", ";{0}=29011010000?", "%E?;{0}=29011010000?",
    "%B{0}^DOE/JANE^29011010000?\r;{0}=29011010000?", "https://pay.example.org/?pan={0}", "12 {1}", "2025-03-04 {0}",
]


@st.composite
def payment_numbers(draw) -> str:
    start, length = draw(st.sampled_from(SCHEMES))
    body = start + "".join(draw(st.lists(st.sampled_from("0123456789"), min_size=19, max_size=19)))
    body = body[: length - 1]
    # The classic table: a doubled digit and the sum of its digits.
    worth = sum(int("0246813579"[int(d)]) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body)))
    return body + str((10 - worth % 10) % 10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # caplog is cleared for each number
@given(payment_numbers(), st.sampled_from(SHAPES), st.sampled_from(["", "]C0", "]Q1", "]d1", "]L0", "]A0"]))
def test_nothing_of_a_payment_number_is_left(caplog, number, shape, aim):
    grouped = [number[i : i + 4] for i in range(0, len(number), 4)]
    text = aim + shape.format(number, " ".join(grouped), "-".join(grouped))
    caplog.clear()
    bench = Bench(framing="idle", idle_ms=100)
    bench.send(text.encode("ascii"), 0)
    bench.wait(200)
    assert bench.meanings() == ["payment_card"]
    left = f"{bench.outcomes!r} {msgspec.json.encode(bench.outcomes)!r} {caplog.text} {vars(bench.framer)!r}"
    assert not [number[i : i + 6] for i in range(len(number) - 5) if number[i : i + 6] in left]
