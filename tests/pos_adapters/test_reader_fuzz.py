"""Any bytes, cut anywhere, on any reader: no exception, bounded memory, and nothing of a payment card anywhere."""

import logging

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from loyalty.cards.card_rules import AppKey, RotatingRule, WalletRule
from loyalty.cards.cards import PaymentCard, Rejected
from loyalty.cards.wallet_codes import sign_app_code
from pos_adapters.readers.decoding import decode
from pos_adapters.readers.profile import Profile
from pos_adapters.readers.shipped import make_profile, shipped_names
from tests.pos_adapters.dialects import DIALECTS, DialectBench
from tests.pos_adapters.samples import RULES
from tests.pos_adapters.test_reader_frames import payment_numbers

PROFILES = [make_profile({"profile": name, "port": "x", "max_bytes": 256}) for name in shipped_names()]
EVERY = st.sampled_from(PROFILES)
APP = Ed25519PrivateKey.from_private_bytes(b"A" * 32)
WALLET = WalletRule(
    static_allowed="none",
    rotating=RotatingRule(pattern="TPW-{card}-{totp_timestamp_seconds}-{totp_value_0}"),
    app_keys=(AppKey(key_no=1, public_key=APP.public_key().public_bytes_raw().hex()),),
)
WITH_WALLET = msgspec.structs.replace(RULES, wallet=WALLET)
CODES = [sign_app_code(APP, 1, "2037215727383", 0).encode(), b"TPW-2037215727383-0-12345678"]
PIECES = [*CODES, *(sample.wire for dialect in DIALECTS.values() for sample in dialect.samples)]
SIGNS = [b"\r", b"\n", b"\t", b"\x02", b"\x03", b"\x1b", b"\x1d", b"]E0", b"%", b";", b"?", b"/2/", b"\x12\xf3", b"+48"]
CHUNKS = st.lists(
    st.binary(max_size=40) | st.sampled_from(SIGNS) | st.sampled_from(PIECES).flatmap(
        lambda wire: st.integers(0, len(wire)).map(lambda n: wire[:n])
    ),
    max_size=30,
)  # fmt: skip
PAUSES = st.lists(st.integers(0, 4_000), min_size=31, max_size=31)


def held(bench: DialectBench) -> int:
    """How many bytes a framer keeps."""
    return sum(len(value) for value in vars(bench.framer).values() if isinstance(value, bytearray))


@given(EVERY, CHUNKS, PAUSES)
def test_any_bytes_are_read_without_an_exception_and_in_bounded_room(profile, chunks, pauses):
    bench, now_ms = DialectBench(profile, WITH_WALLET), 0
    for chunk, pause in zip(chunks, pauses, strict=False):
        now_ms += pause
        bench.wait(now_ms)
        bench.send(chunk, now_ms)
        assert held(bench) <= 2 * (profile.max_bytes + 258)
        assert len(bench.framer.take_replies()) == 0, "answers are handed over with what they answer"
    bench.wait(now_ms + 20_000)
    assert held(bench) == 0
    assert all(type(outcome).__name__ in ("Card", "Code", "Rejected", "PaymentCard") for outcome in bench.outcomes)


@given(EVERY, CHUNKS)
def test_any_bytes_give_the_same_outcomes_however_they_are_cut(profile, chunks):
    whole, cut, single = (DialectBench(profile, WITH_WALLET) for _ in range(3))
    together = b"".join(chunks)
    whole.send(together, 0)
    for chunk in chunks:
        cut.send(chunk, 0)
    for byte in together:
        single.send(bytes([byte]), 0)
    for bench in (whole, cut, single):
        bench.wait(10_000)
        bench.wait(20_000)
    assert whole.outcomes == cut.outcomes == single.outcomes
    assert whole.replies == cut.replies == single.replies


SEPARATORS = [("", 4), (" ", 4), ("-", 4), (" ", 5), ("-", 3)]
AROUND = ["{0}", "card {0}.", "12 {0}", "2025-03-04 {0}", "{0} 12/29", "x{0}x", "\t{0}"]


def grouped(number: str, separator: str, width: int) -> str:
    return separator.join(number[i : i + width] for i in range(0, len(number), width))


def framed(profile: Profile, text: str) -> bytes:
    """A text as this reader would send it, whatever its dialect says of the text itself."""
    data = text.encode("ascii")
    match profile.framing:
        case "ssi":
            packet = bytes([len(data) + 5, 0xF3, 0, 0, 3]) + data
            return packet + (0x10000 - sum(packet)).to_bytes(2, "big")
        case "stx_etx":
            return b"\x02" + data + b"\r\x03"
        case "idle":
            return data
    return data + b"\r"


def leaks(number: str, *places: object) -> list[str]:
    text = " ".join(str(place) for place in places)
    return [number[i : i + 6] for i in range(len(number) - 5) if number[i : i + 6] in text]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # caplog is cleared for each number
@given(EVERY, payment_numbers(), st.sampled_from(SEPARATORS), st.sampled_from(AROUND), st.booleans())
def test_a_payment_number_leaves_no_digit_on_any_reader(caplog, profile, number, separator, around, cut_short):
    text = around.format(grouped(number, *separator))
    if profile.kind == "tag" and sum(char.isdigit() for char in text) in (14, 20):
        return  # fourteen or twenty hex digits are a tag's UID on a reader that reads nothing else
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    bench = DialectBench(profile)
    wire = framed(profile, text)
    if cut_short and profile.framing != "ssi":
        wire = wire.rstrip(b"\r\n\x03")  # the suffix is missing, so the message times out
    bench.send(wire, 0)
    bench.wait(10_000)
    bench.wait(20_000)
    assert bench.outcomes == [PaymentCard()]
    said = msgspec.json.encode(bench.outcomes).decode()
    shown, _ = decode(profile, RULES, wire, lambda: None)
    places = (said, shown, bench.outcomes, caplog.text, vars(bench.framer), vars(bench.interpreter))
    assert not leaks(number, *places, vars(bench.interpreter._repeats))


@given(payment_numbers(), st.sampled_from([p for p in PROFILES if p.kind == "stripe"]), st.integers(0, 3))
def test_a_swiped_payment_card_is_one_on_every_stripe_reader(number, profile, cut):
    """Tracks as on the card, with the last characters lost: expiry and service code may be gone, the number is not."""
    bench = DialectBench(profile)
    track = f";{number}=29011010000?"
    bench.send(framed(profile, track[: len(track) - 4 * cut]), 0)
    bench.wait(10_000)
    assert bench.outcomes == [PaymentCard()]


@given(payment_numbers(), st.sampled_from([p for p in PROFILES if p.kind == "stripe"]), st.integers(1, 9))
def test_a_swiped_payment_card_with_a_digit_misread_is_not_shown(number, profile, off):
    assume(not number.startswith(("636", "6044")))  # where driving licences are, too
    misread = number[:-1] + str((int(number[-1]) + off) % 10)
    shown, _ = decode(profile, RULES, framed(profile, f";{misread}=29011010000?"), lambda: None)
    assert [one.outcome for one in shown] == ["payment_card"]
    assert not leaks(misread, shown)


def test_a_number_that_no_scheme_could_have_issued_is_not_hidden_from_the_pos():
    # The check digit is wrong, so it is not a payment card: 4242 4242 4242 4243.
    bench = DialectBench(PROFILES[shipped_names().index("generic")])
    bench.send(b"4242424242424243\r", 0)
    assert bench.meanings() == ["code 4242424242424243"]


@pytest.mark.parametrize("profile", PROFILES, ids=shipped_names())
def test_unplugging_in_the_middle_forgets_what_came(profile):
    bench = DialectBench(profile)
    bench.send(framed(profile, "4242424242424242")[:-3], 0)
    bench.framer.reset()
    assert held(bench) == 0
    bench.wait(20_000)
    assert not [one for one in bench.outcomes if not isinstance(one, Rejected)]
