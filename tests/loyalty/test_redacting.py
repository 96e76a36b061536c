"""What is left of each event once its goods are let go, byte by byte as written down by hand."""

from typing import get_args

import pytest

from loyalty.facts.events import Event, encode, read_head
from loyalty.facts.redacting import EFFECTS, UNREADABLE, WITH_GOODS, WITHOUT_GOODS, Redacted, RedactedPlace, redacted

HEAD = b'"place":["acme","S1","T1","store",1772452800000,0,"2026-03-02"],"net_minor":1000,"account_id":7'
GOODS = b'"detail":{"lines":[[1,"tea",1000]],"cashier":"4"'
EARNED = b',"earned":[["acme","2026-12-31",10]]'
BOSS = b'"override":{"supervisor":"9","reason":"damaged"}'


def receipt(end: bytes = b"") -> bytes:
    return b'{"type":"receipt.v1","receipt_id":"R1",' + HEAD + end + b"}"


@pytest.mark.parametrize(
    ("payload", "left"),
    [
        (receipt(b"," + GOODS + b"}"), receipt()),
        (receipt(EARNED + b"," + GOODS + b"}"), receipt(EARNED)),
        (receipt(b"," + GOODS + b"," + BOSS + b"}"), receipt(b',"detail":{"cashier":"4",' + BOSS + b"}")),
        (receipt(b"," + GOODS + b'},"of_later":{"a":1}'), receipt(b',"of_later":{"a":1}')),
        (receipt(b',"detail":[1,2]'), receipt()),
        (receipt(), receipt()),
        (
            b'{"type":"return.v1","receipt_id":"B1",' + HEAD + b"," + GOODS + b"}}",
            b'{"type":"return.v1","receipt_id":"B1",' + HEAD + b"}",
        ),
        (
            b'{"type":"fixed.v1","receipt_id":"f1","fact":' + receipt(b"," + GOODS + b"}") + b',"note":"mended"}',
            b'{"type":"fixed.v1","receipt_id":"f1","fact":' + receipt() + b',"note":"mended"}',
        ),
        (b'{"type":"gift.v1","lines":["tea"]}', UNREADABLE),
        (b'{"receipt_id":"R1"}', UNREADABLE),
        (b'["receipt.v1"]', UNREADABLE),
        (b"\xff\x00", UNREADABLE),
        (b"[" * 5_000, UNREADABLE),
    ],
    ids=["sale", "earned", "approved", "a later field", "odd detail", "no detail", "return", "fixed", "unknown",
         "no type", "no event", "no text", "deep"],
)  # fmt: skip
def test_goods_go_and_all_else_stays(payload: bytes, left: bytes) -> None:
    assert redacted(payload) == left
    assert redacted(left) == left


def test_the_programme_stays_and_what_promotions_did_where_it_is_asked_for() -> None:
    told = b'"programme_version":"v7","effects":[["tea",1,5,0]],"lines":[[1,"tea",1000]]'
    always, asked = b'"programme_version":"v7"', b'"programme_version":"v7","effects":[["tea",1,5,0]]'
    assert redacted(receipt(b',"detail":{' + told + b"}")) == receipt(b',"detail":{' + always + b"}")
    assert redacted(receipt(b',"detail":{' + told + b"}"), EFFECTS) == receipt(b',"detail":{' + asked + b"}")


@pytest.mark.parametrize("kind", ["void.v1", "till_close.v1", "enrolment.v1", "return_void.v1"])
def test_events_without_goods_stay_to_the_byte(kind: str) -> None:
    payload = b'{ "type": "' + kind.encode() + b'", "detail": {"cashier": "4"}}'
    assert redacted(payload) == payload


def test_every_kind_of_event_is_said_to_hold_goods_or_not() -> None:
    """A new kind must be thought about: what is not named is blanked."""
    kinds = sorted(one.__struct_config__.tag for one in get_args(Event))
    assert sorted((*WITH_GOODS, *WITHOUT_GOODS, "fixed.v1")) == kinds


def test_the_event_that_vouches_reads_back() -> None:
    place = RedactedPlace(till_id="t" * 32, epoch=1, seq=9, sha256="0" * 64)
    payload = encode(Redacted(receipt_id="redacted:1", places=(place,)))
    assert payload == (
        b'{"type":"redacted.v1","receipt_id":"redacted:1","places":[["' + b"t" * 32 + b'",1,9,"' + b"0" * 64 + b'"]]}'
    )
    assert read_head(payload) == Redacted(receipt_id="redacted:1", places=(place,))
