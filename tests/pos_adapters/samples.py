"""What readers send, beside its meaning: the bytes on the line, how the reader is set up, what comes of them.

Here are the ways of framing; samples/ has what each shipped profile's readers send, a file a dialect. Meanings are
written as `card <kind> <number>`, `code <text>`, `rejected <reason>`, `payment_card`.
"""

from typing import Any, NamedTuple

from loyalty.cards.card_rules import PhoneRule
from loyalty.cards.cards import Card, CardRule, CardRules, Code, Outcome, Rejected

RULES = CardRules(
    ranges=(
        CardRule(kind="ean13", prefix="2037"),
        CardRule(kind="luhn", prefix="982630", length=16),
        CardRule(kind="gsrn", prefix="735005385"),
        CardRule(kind="ean13", prefix="042"),
        *(CardRule(kind="uid", prefix="", length=length) for length in (8, 10, 14, 20)),
        CardRule(kind="printed", prefix="000"),
    ),
    phone=PhoneRule(country="48", digits=(9,), short_digits=6),
)


class Sample(NamedTuple):
    name: str
    setup: dict[str, Any]
    wire: bytes
    meanings: list[str]


CR, LF, CRLF, TAB = ({"suffix": suffix} for suffix in ("cr", "lf", "crlf", "tab"))
STX = {"framing": "stx_etx"}
IDLE = {"framing": "idle", "idle_ms": 100}

SAMPLES = [
    Sample("EAN-13 loyalty card", CR, b"]E02037215727383\r", ["card ean13 2037215727383"]),
    Sample("the same without AIM ids", CR, b"2037215727383\r", ["card ean13 2037215727383"]),
    Sample("misread card", CR, b"]E02037215727384\r", ["rejected check_digit"]),
    Sample("goods", CR, b"]E04006381333931\r", ["code 4006381333931"]),
    Sample("LF suffix", LF, b"]E04006381333931\n", ["code 4006381333931"]),
    Sample("CR LF suffix", CRLF, b"]E04006381333931\r\n", ["code 4006381333931"]),
    Sample("a lone CR inside a CR LF message", CRLF, b"]Q1a\rb\r\n", ["code a\rb"]),
    Sample("CR LF sent to a reader set to CR", CR, b"]E04006381333931\r\n", ["code 4006381333931"]),
    Sample("TAB suffix", TAB, b"]C0AB-12\t", ["code AB-12"]),
    Sample("three in one delivery", CR, b"]C0A\r]C0B\r]C0C\r", ["code A", "code B", "code C"]),
    Sample("empty messages between", CR, b"\r\r]C0A\r\r", ["code A"]),
    Sample("GSRN in GS1-128", CR, b"]C18018735005385000000011\x1d80191\r", ["card gsrn 735005385000000011"]),
    Sample(
        "GSRN as a link in a QR code", CR, b"]Q1https://id.example.org/8018/735005385000000011?c=1\r",
        ["card gsrn 735005385000000011"],
    ),
    Sample("bytes above ASCII", CR, b"]Q1caf\xe9\r", ["code caf\xe9"]),
    Sample("STX ETX", STX, b"\x02]E02037215727383\x03", ["card ean13 2037215727383"]),
    Sample("STX CR ETX", STX, b"\x029826300000000015\r\x03", ["card luhn 9826300000000015"]),
    Sample("an ETX was lost", STX, b"\x02]C0LOST\x02]C0A\x03", ["code A"]),
    Sample("noise outside STX ETX", STX, b"4242\x02]C0A\x03\r\n\x02]C0B\x03", ["code A", "code B"]),
    Sample("no suffix", IDLE, b"]E02037215727383", ["card ean13 2037215727383"]),
    Sample(
        "a swiped loyalty card, a line for each track", IDLE,
        b"%B9826300000000015^DOE/J^9912?\r;9826300000000015=9912?\r", ["card luhn 9826300000000015"],
    ),
    Sample("a swipe that failed", IDLE, b"%E?;E?+E?\r", ["rejected swipe_failed"]),
    Sample(
        "a swiped payment card", IDLE,
        b"%B4242424242424242^DOE/JANE^29011010000?\r;4242424242424242=29011010000?\r", ["payment_card"],
    ),
    Sample("a typed payment card", CR, b"4242 4242 4242 4242\r", ["payment_card"]),
    Sample("a payment card in a QR code", CR, b"]Q1pay:378282246310005\r", ["payment_card"]),
]


def meaning(outcome: Outcome) -> str:
    """An outcome as the samples write it."""
    if isinstance(outcome, Card):
        return f"card {outcome.kind} {outcome.number}"
    if isinstance(outcome, Code):
        return f"code {outcome.text}"
    if isinstance(outcome, Rejected):
        return f"rejected {outcome.reason}"
    return "payment_card"
