"""Every dialect of readers: its samples mean the same whole, byte by byte, and with the next message behind them."""

import pytest

from pos_adapters.readers.profile import BadReaderProfile
from pos_adapters.readers.shipped import make_profile, shipped_names
from pos_adapters.readers.stripe import lrc_of
from tests.pos_adapters.dialects import DIALECTS, EACH, Dialect, DialectBench, DialectSample

EVERY = pytest.mark.parametrize(("dialect", "sample"), [row[:2] for row in EACH], ids=[row[2] for row in EACH])
QUIET_MS = 10_000


def test_every_shipped_profile_has_samples():
    assert {dialect.profile for dialect in DIALECTS.values()} == set(shipped_names())


@EVERY
def test_a_message_that_comes_whole(dialect: Dialect, sample: DialectSample):
    bench = DialectBench(dialect.reader())
    bench.send(sample.wire, 0)
    bench.wait(QUIET_MS)
    assert bench.meanings() == sample.meanings
    assert bench.replies == bytes.fromhex(sample.replies)


@EVERY
def test_a_message_that_comes_one_byte_at_a_time(dialect: Dialect, sample: DialectSample):
    bench = DialectBench(dialect.reader())
    for at_ms, byte in enumerate(sample.wire):
        bench.wait(at_ms)
        bench.send(bytes([byte]), at_ms)
    bench.wait(QUIET_MS)
    assert bench.meanings() == sample.meanings
    assert bench.replies == bytes.fromhex(sample.replies)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_messages_with_the_next_one_behind_them(dialect: Dialect):
    bench = DialectBench(dialect.reader(repeat_ms=0))
    expected = [meaning for sample in dialect.samples for meaning in sample.meanings]
    if bench.profile.framing in ("idle", "tracks"):
        for n, sample in enumerate(dialect.samples):
            bench.send(sample.wire, n * bench.profile.idle_ms)  # only silence parts these
    else:
        bench.send(b"".join(sample.wire for sample in dialect.samples), 0)
    bench.wait(1_000_000)
    assert bench.meanings() == expected


@EVERY
def test_nothing_of_a_payment_card_is_left_in_the_reader(dialect: Dialect, sample: DialectSample):
    if "payment_card" not in sample.outcomes:
        return
    bench = DialectBench(dialect.reader())
    bench.send(sample.wire, 0)
    bench.wait(QUIET_MS)
    left = f"{vars(bench.framer)} {vars(bench.interpreter)} {vars(bench.interpreter._repeats)} {bench.outcomes}"
    digits = [chr(byte) for byte in sample.wire if chr(byte).isdigit()]
    runs = {"".join(digits[i : i + 6]) for i in range(len(digits) - 5)}
    assert not [run for run in runs if run in left]


def test_a_number_that_is_typed_slowly_is_one_number():
    # Half of it is another customer's phone number.
    bench = DialectBench(make_profile({"profile": "keypad", "port": "x"}))
    for second, keys in enumerate((b"2037", b"21572", b"7383", b"\r")):
        bench.wait(second * 4000)
        bench.send(keys, second * 4000)
    assert bench.meanings() == ["card ean13 2037215727383"]


# Tags in the field


def tag(**setup) -> DialectBench:
    return DialectBench(make_profile({"profile": "rdm6300", "port": "x", **setup}))


TAG = b"\x0262E3086CED08\x03"
OTHER = b"\x0262E3086CEE0B\x03"


def test_a_tag_that_is_held_to_the_reader_is_one_reading():
    bench = tag()
    for at_ms in range(0, 6_000, 500):
        bench.send(TAG, at_ms)
    assert bench.meanings() == ["card uid 62E3086CED"]
    assert bench.interpreter.rejects == {"repeated": 11}


def test_a_tag_that_was_away_for_the_window_is_read_again():
    bench = tag()
    for at_ms in (0, 1_499, 2_998, 4_498):
        bench.send(TAG, at_ms)
    # 1499 ms after the last repeat is held; 1500 ms is a new reading.
    assert bench.meanings() == ["card uid 62E3086CED"] * 2


def test_another_tag_between_ends_the_window():
    bench = tag()
    bench.send(TAG + OTHER + TAG, 0)
    assert bench.meanings() == ["card uid 62E3086CED", "card uid 62E3086CEE", "card uid 62E3086CED"]


def test_a_held_tag_that_is_read_badly_once_is_still_one_reading():
    bench = tag()
    for at_ms, wire in ((0, TAG), (500, b"\x0262E3086CED09\x03"), (1_000, TAG), (2_600, TAG)):
        bench.send(wire, at_ms)
    assert bench.meanings() == ["card uid 62E3086CED", "rejected tag_checksum", "card uid 62E3086CED"]


def test_a_checksum_is_never_guessed():
    for checksum, good, bad in (("xor", TAG, b"\x0262E3086CEDA6\x03"), ("sum", b"\x0262E3086CEDA6\x03", TAG)):
        bench = tag(checksum=checksum)
        bench.send(good + bad, 0)
        assert bench.meanings() == ["card uid 62E3086CED", "rejected tag_checksum"]


# Stripes


def test_the_check_character_of_the_standards_example_is_right():
    # Worked out in samples/msr_lrc.yaml; the sentinels are part of it, and ! stands for the ; of track 3.
    assert lrc_of(";9826300000000015=9912?") == "8"
    assert lrc_of("%B9826300000000015^DOE/J^9912?") == "R"
    assert lrc_of("!9826300000000015?") == lrc_of(";9826300000000015?") == lrc_of("+9826300000000015?")


@pytest.mark.parametrize(
    ("tracks", "what"),
    [
        (";9826300000000015=9912?81", "card luhn 9826300000000015"),  # LRC 8, sensor 1
        (";9826300000000015=9912?8", "card luhn 9826300000000015"),
        (";9826300000000015=9912?91", "rejected swipe_failed"),
        (";9826300000000015=9912?811", "rejected swipe_failed"),  # more than a sensor has to say
        ("%E?;9826300000000015=9912?81", "card luhn 9826300000000015"),
    ],
)
def test_an_insertion_reader_may_send_lrcs_as_well(tracks, what):
    bench = DialectBench(make_profile({"profile": "insertion", "port": "x", "lrc": True}))
    bench.send(f"\x02\x1b{tracks}\r\x03".encode(), 0)
    assert bench.meanings() == [what]


def test_a_swipe_of_known_lines_waits_for_no_silence():
    bench = DialectBench(make_profile({"profile": "msr-omni", "port": "x", "lines": 2}))
    bench.send(b"%E?\r;9826300000000015=9912?", 0)
    assert bench.meanings() == []
    bench.send(b"\r", 30)
    assert bench.meanings() == ["card luhn 9826300000000015"]


def test_a_line_that_ends_with_two_characters_is_one_line():
    bench = DialectBench(make_profile({"profile": "msr-omni", "port": "x", "lines": 2}))
    bench.send(b"\r\n%E?\r\n", 0)
    assert bench.meanings() == []
    bench.send(b";9826300000000015=9912?\r", 0)
    assert bench.meanings() == ["card luhn 9826300000000015"]


def test_a_swipe_that_stops_in_the_middle_of_a_track_is_not_taken():
    bench = DialectBench(make_profile({"profile": "msr-omni", "port": "x"}))
    bench.send(b"%E?\r;9826300000000015=99", 0)
    bench.wait(500)
    assert (bench.meanings(), bench.interpreter.rejects) == ([], {"unfinished": 1})


# SSI


def ssi() -> DialectBench:
    return DialectBench(make_profile({"profile": "zebra-ssi", "port": "x"}))


ACK, NAK = bytes.fromhex("04D00400FF28"), bytes.fromhex("05D1040001FF25")
EAN = bytes.fromhex("12F300000B") + b"2037215727383" + bytes.fromhex("FC4E")
EAN_AGAIN = bytes.fromhex("12F300010B") + b"2037215727383" + bytes.fromhex("FC4D")


def test_a_packet_sent_again_whose_first_try_was_lost_is_a_card():
    bench = ssi()
    bench.send(EAN_AGAIN, 0)
    assert (bench.meanings(), bench.replies) == (["card ean13 2037215727383"], ACK)


def test_the_same_card_scanned_again_is_a_card_again():
    bench = ssi()
    bench.send(EAN, 0)
    bench.send(EAN, 400)
    assert bench.meanings() == ["card ean13 2037215727383"] * 2
    bench.send(EAN_AGAIN, 500)
    assert bench.meanings() == ["card ean13 2037215727383"] * 2
    assert bench.framer.dropped == {"resent": 1}
    bench.send(EAN_AGAIN, 4_000)  # long after any answer that could have been lost
    assert bench.meanings() == ["card ean13 2037215727383"] * 3


def test_half_a_packet_is_asked_for_again():
    bench = ssi()
    bench.send(EAN[:9], 0)
    bench.wait(199)
    assert bench.replies == b""
    bench.wait(200)
    assert bench.replies == NAK
    bench.send(EAN_AGAIN, 300)
    assert bench.meanings() == ["card ean13 2037215727383"]


def test_a_payment_card_in_half_a_packet_is_refused_too():
    bench = ssi()
    bench.send(bytes.fromhex("25F3000003") + b"4242424242424242", 0)
    bench.wait(200)
    assert bench.meanings() == ["payment_card"]


def test_noise_before_a_packet_is_passed_over():
    bench = ssi()
    bench.send(b"\x00\x02\x01" + EAN, 0)
    assert bench.meanings() == ["card ean13 2037215727383"]
    assert bench.framer.dropped == {"outside": 3}


def test_a_code_of_many_packets_takes_no_more_room_than_a_profile_allows():
    bench = DialectBench(make_profile({"profile": "zebra-ssi", "port": "x", "max_bytes": 64}))
    body = bytes.fromhex("2DF3000203") + b"x" * 40
    packet = body + (0x10000 - sum(body)).to_bytes(2, "big")
    for at_ms in range(50):
        bench.send(packet, at_ms)
        assert len(bench.framer._parts) <= 64
    # It goes whole, its end too, and the next one is read.
    last = bytes.fromhex("12F3000003") + b"2037215727383"
    bench.send(last + (0x10000 - sum(last)).to_bytes(2, "big"), 50)
    assert (bench.framer.dropped["too_long"], bench.meanings()) == (1, [])
    bench.send(last + (0x10000 - sum(last)).to_bytes(2, "big"), 51)
    assert bench.meanings() == ["card ean13 2037215727383"]


# A licence's first part, of which the scanner gave up the rest: 11 letters, and more to follow.
# 10 + F3 + 02 + 11 + 2AD (LICENCE 424) = 3C3, FC3D. Its kind is PDF417 (11), the card's EAN-13 (0B).
PART = bytes.fromhex("10F3000211") + b"LICENCE 424" + bytes.fromhex("FC3D")
# The end of it: 0B + F3 + 11 + 12B (242-42) = 23A, FDC6; sent again (status 01) 23B, FDC5; misread FDC7.
REST = bytes.fromhex("0BF3000011") + b"242-42" + bytes.fromhex("FDC6")
REST_AGAIN = bytes.fromhex("0BF3000111") + b"242-42" + bytes.fromhex("FDC5")
REST_MISREAD = REST[:-1] + b"\xc7"
WHOLE = "code LICENCE 424242-42"


def test_a_part_of_a_code_that_was_given_up_does_not_stand_before_a_code_of_another_kind():
    bench = ssi()
    bench.send(PART, 0)
    bench.send(EAN, 100)
    assert bench.meanings() == ["card ean13 2037215727383"]
    assert bench.interpreter.rejects == {"unfinished": 1}


@pytest.mark.parametrize(
    ("packets", "what", "unfinished"),
    [
        ([(PART, 0), (REST, 1_999)], [WHOLE], 0),
        ([(PART, 0), (REST, 2_000)], ["code 242-42"], 1),  # the scanner waits no longer for our answer: another code
        ([(PART, 0), (REST_AGAIN, 2_500)], [WHOLE], 0),  # the first try was lost on the way
        ([(PART, 0), (REST_MISREAD, 300), (REST_AGAIN, 600)], [WHOLE], 0),
        ([(PART, 0), (REST_MISREAD, 300), (REST, 600)], ["code 242-42"], 1),  # asked for again, but another came
        ([(PART, 0), (REST_MISREAD, 300), (PART, 600), (REST, 900)], [WHOLE], 1),
    ],
)
def test_parts_belong_to_one_code_while_the_scanner_may_still_send_the_next(packets, what, unfinished):
    bench = ssi()
    for packet, at_ms in packets:
        bench.send(packet, at_ms)
    assert bench.meanings() == what
    assert bench.interpreter.rejects["unfinished"] == unfinished


def test_a_payment_card_in_the_part_of_a_code_that_was_given_up_is_refused():
    bench = ssi()
    # 15 + F3 + 02 + 11 + 16 x 30 + 48 = 44B, FBB5
    bench.send(bytes.fromhex("15F3000211") + b"4242424242424242" + bytes.fromhex("FBB5"), 0)
    bench.send(EAN, 100)
    assert bench.meanings() == ["payment_card", "card ean13 2037215727383"]


def test_a_part_and_the_packet_cut_short_behind_it_are_given_up_together():
    bench = ssi()
    bench.send(PART + REST[:-4], 0)
    bench.wait(3_000)
    assert (bench.interpreter.rejects, bench.framer.dropped) == ({"unfinished": 2}, {"unfinished": 1})
    assert [value for value in vars(bench.framer).values() if isinstance(value, bytearray) and value] == []


# Profiles


WRONG = [
    ({"profile": "nonesuch", "port": "x"}, "nonesuch.*--list"),
    ({"profile": "generic"}, "device path"),
    ({"profile": "generic", "port": "x", "name": "door", "idle_ms": 1}, "idle_ms of the reader door"),
    ({"profile": "generic", "port": "x", "name": "door", "max_bytes": 1}, "max_bytes of the reader door"),
    ({"profile": "generic", "port": "x", "baud": 9601}, "baud"),
    ({"profile": "generic", "port": "x", "suffx": "cr"}, "suffx"),
    ({"profile": "uid-decimal", "port": "x", "tag_bytes": 0}, "tag_bytes"),
    ({"profile": "generic", "port": "x", "kind": "tag", "framing": "ssi"}, "kind to scanner"),
    ({"profile": "generic", "port": "x", "framing": "tracks"}, "kind to stripe"),
    ({"profile": "generic", "port": "x", "prefix": "é"}, "ASCII"),
    ({"profile": "generic", "port": "x", "repeat_ms": -1}, "repeat_ms"),
]


@pytest.mark.parametrize(("said", "what"), WRONG)
def test_a_profile_that_cannot_work_says_what_to_write(said, what):
    with pytest.raises(BadReaderProfile, match=what):
        make_profile(said)


def test_a_shop_may_have_a_profile_of_its_own(tmp_path):
    own = tmp_path / "odd.yaml"
    own.write_text("about: the one on the corner\nframing: stx_etx\n")
    made = make_profile({"profile": str(own), "port": "x", "baud": "19200"})
    assert (made.name, made.framing, made.baud) == ("odd", "stx_etx", 19200)
    own.write_text("- a list")
    with pytest.raises(BadReaderProfile, match="names and values"):
        make_profile({"profile": str(own), "port": "x"})


def test_a_factory_reset_scanner_shows_in_the_counters():
    bench = DialectBench(make_profile({"profile": "zebra-letters", "port": "x"}))
    bench.send(b"A2037215727383\r2037215727383\r", 0)
    assert bench.meanings() == ["card ean13 2037215727383"] * 2
    assert bench.interpreter.without_aim == 1
