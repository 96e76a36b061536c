"""Events: one list of everything that happens, read at the door, malformed ones turned away with their bytes kept."""

import json

import msgspec
import pytest

from loyalty.facts.events import (
    Opened,
    PeriodTurned,
    TillClose,
    UnknownEvent,
    encode,
    own_uses,
    read_head,
    read_receipt,
    voided_uses,
)
from loyalty.facts.lease_events import Granted
from loyalty.facts.receipts import Funded
from loyalty.facts.returned_uses import StoredBack
from loyalty.trouble import InvariantBroken
from tests.loyalty.build import day, earned, place, ref, sale, take_back, use, void

EVERY_KIND = [
    Opened(receipt_id="opened:2", reason="replaced", left_epoch=1, left_seq=40, left_hash="ab"),
    sale("R1", earned(10), spent=5, funded=(Funded(partner_id="bolt", amount_minor=100),), uses=(use("promo:a"),)),
    take_back("B1", ref(3), earned(4), restored=2),
    void(ref(3)),
    msgspec.structs.replace(
        take_back("B2", ref(3), earned(4)),
        earned=(earned(2, valid_through="2027-12-31"),),
        shared_uses=(use("coupon:C1", -1),),
        restored=(StoredBack(code="G1", amount_minor=70), StoredBack(code="", amount_minor=5)),
        withheld_minor=3,
        withheld=(earned(6),),
        clamp=True,
        of_receipt="R1",
    ),
    TillClose(
        receipt_id="till_close:2026-03-02", place=place(), receipts=3, voids=1, returns=0, net_minor=4200,
        returned_minor=0, points_earned=42, points_spent=0, points_reversed=10, first_seq=1, last_seq=5,
    ),
    Granted(receipt_id="g1", lease_id="float-1", till_id="T1", epoch=1, points=5000, granted_at_ms=1),
    PeriodTurned(receipt_id="period:1", period_no=1, through=day("2026-03-31"), statements=(("acme", "ab"),)),
]  # fmt: skip


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: type(event).__name__)
def test_every_event_reads_back_as_itself_from_one_line_of_json(event):
    payload = encode(event)
    read = read_head(payload)
    assert type(read) is type(event)
    assert encode(read) == payload
    assert b"\n" not in payload


def test_every_event_says_what_it_is_and_in_which_version():
    types = [json.loads(encode(event))["type"] for event in EVERY_KIND]
    assert types == [
        "opened.v1", "receipt.v1", "return.v1", "void.v1", "return.v1", "till_close.v1", "grant.v1", "period.v1",
    ]  # fmt: skip


def test_a_receipt_of_release_one_stays_readable():
    payload = (
        b'{"type":"receipt.v1","receipt_id":"R1","place":["acme","S1","T1","store",1772452800000,0,"2026-03-02"],'
        b'"net_minor":1000,"account_id":7,"earned":[["acme","2026-12-31",10]],"uses":[["promo:a",1]],'
        b'"redemption":{"points":5,"amount_minor":5,"authority":"float","lease_id":"float-1","slices":[]},'
        b'"funded":[["bolt",100]],"detail":null}'
    )
    assert msgspec.structs.replace(read_head(payload), detail=EVERY_KIND[1].detail) == EVERY_KIND[1]


def test_a_return_and_a_void_of_release_one_stay_readable():
    head = b'"place":["acme","S1","T1","store",1772452800000,0,"2026-03-02"],'
    returned = read_head(
        b'{"type":"return.v1","receipt_id":"B1",' + head + b'"net_minor":0,"of":["T1",1,3],"account_id":7,'
        b'"reversed":[["acme","2026-12-31",4]],"restored_points":2,"detail":null}'
    )
    assert msgspec.structs.replace(returned, detail=EVERY_KIND[2].detail) == EVERY_KIND[2]
    voided = read_head(b'{"type":"void.v1","receipt_id":"void:R1",' + head + b'"of":["T1",1,3],"account_id":7}')
    assert msgspec.structs.replace(voided, detail=EVERY_KIND[3].detail) == EVERY_KIND[3]


STORED_VALUE = [
    b'{"type":"receipt.v1","receipt_id":"R1","place":["acme","S1","T1","store",1,0,"2026-03-02",""],'
    b'"net_minor":5000,"certificates_sold":[[1,"cccccccccccccccccccccccccccccccc",5000,"2026-04-01"]]}',
    b'{"type":"void.v1","receipt_id":"void:R1","place":["acme","S1","T1","store",1,0,"2026-03-02",""],'
    b'"of":["T1",1,3],"certificates_back":[[1,"cccccccccccccccccccccccccccccccc",5000,"2026-04-01"]]}',
    b'{"type":"certificate.v1","receipt_id":"c-1","place":["acme","S1","T1","store",1,0,"2026-03-02",""],'
    b'"what":"topped_up","code":"cccccccccccccccccccccccccccccccc","amount_minor":500,"valid_through":"2026-04-01"}',
    b'{"type":"certificate_kept.v1","receipt_id":"certificate:c:1","what":"lapsed",'
    b'"code":"cccccccccccccccccccccccccccccccc","on":"2026-04-02"}',
    b'{"type":"write_off.v1","receipt_id":"write_off:w1","account_id":7,"of":["T1",1,3],"points":50,"on":"2026-09-01",'
    b'"reason":"uncollectable","asked_by":"ana","approved_by":"eva"}',
    b'{"type":"delta.v1","receipt_id":"delta:T1:1:3","of":["T1",1,3],"of_period_no":1,"bearer_id":"operator",'
    b'"partner_id":"acme","amount_minor":10,"on":"2026-03-02","version":"v"}',
    b'{"type":"return_void.v1","receipt_id":"void:B1","place":["acme","S1","T1","store",1,0,"2026-03-02",""],'
    b'"undoes":["T1",1,5],"net_minor":400,"of":["T1",1,3],"of_receipt":"R1","account_id":7,'
    b'"earned":[["acme","2026-12-31",4]],"spent_points":2,"uses":[["promo:a",1]],"funded":[["bolt",50]],'
    b'"restored":[["cccccccccccccccccccccccccccccccc",100]]}',
    b'{"type":"fixed.v1","receipt_id":"fix:f1","of":["T1",1,6],"fact":{"type":"return_void.v1","receipt_id":"void:B1",'
    b'"place":["acme","S1","T1","store",1,0,"2026-03-02",""],"undoes":["T1",1,5],"net_minor":400,"account_id":7},'
    b'"reason":"wrong_figures","asked_by":"ana","approved_by":"bea"}',
]


@pytest.mark.parametrize("payload", STORED_VALUE, ids=lambda payload: json.loads(payload)["type"])
def test_certificates_write_offs_deltas_and_voids_of_returns_of_release_one_stay_readable(payload):
    again = encode(read_head(payload))
    assert {name: value for name, value in json.loads(again).items() if value is not None} == json.loads(payload)


@pytest.mark.parametrize("code", [b"GC-7781-0042", b"c" * 31, b"C" * 32])
def test_a_certificate_is_named_by_its_token_and_by_nothing_else(code):
    with pytest.raises(UnknownEvent):
        read_head(STORED_VALUE[2].replace(b"c" * 32, code))


def test_a_sale_is_read_from_its_bytes_and_nothing_else_is():
    assert read_receipt(encode(EVERY_KIND[1])).receipt_id == "R1"
    for payload in (encode(EVERY_KIND[2]), b"{}"):
        with pytest.raises(UnknownEvent):
            read_receipt(payload)


def test_what_a_later_release_adds_to_a_head_does_not_stop_an_earlier_one():
    payload = encode(sale("R1")).replace(b'"net_minor":1000', b'"net_minor":1000,"new_field":[1,2]')
    assert read_head(payload).net_minor == 1000


def test_the_detail_stays_as_it_came_until_somebody_needs_it():
    payload = encode(sale("R1", detail=msgspec.Raw(b'{"nobody": "reads this"}')))
    assert bytes(read_head(payload).detail) == b'{"nobody": "reads this"}'


GOOD = encode(sale("R1", earned(10), spent=5, funded=(Funded(partner_id="bolt", amount_minor=100),)))
MALFORMED = [
    b"",
    GOOD.replace(b"R1", b"\xff1"),
    b"null",
    b"[]",
    b"{}",
    b'{"type":"receipt.v1"}',
    b'{"type":"receipt.v2"}',
    b'{"type":"party.v1","receipt_id":"x"}',
    GOOD[:-1],
    GOOD + b"}",
    b"\xff" + GOOD,
    GOOD.replace(b'"R1"', b"1"),
    GOOD.replace(b'"net_minor":1000', b'"net_minor":-1'),
    GOOD.replace(b'"net_minor":1000', b'"net_minor":10.5'),
    GOOD.replace(b'"net_minor":1000', b'"net_minor":1000000000000001'),
    GOOD.replace(b'"account_id":7', b'"account_id":0'),
    GOOD.replace(b'"account_id":7', b'"account_id":9223372036854775808'),
    GOOD.replace(b'"2026-12-31",10]', b'"2026-12-31",-10]'),
    GOOD.replace(b'"2026-12-31",10]', b'"2026-12-31",0]'),
    GOOD.replace(b'"2026-12-31",10]', b'"2026-02-30",10]'),
    GOOD.replace(b'"points":5', b'"points":-5'),
    GOOD.replace(b'["bolt",100]', b'["bolt",-100]'),
    GOOD.replace(b'["bolt",100]', b'["bolt"]'),
    GOOD.replace(b"1772452800000", b"99999999999999999999"),
    b'{"type":"receipt.v1","detail":' + b"[" * 100_000,
    encode(take_back("B1", ref(3), restored=2)).replace(b'"restored_points":2', b'"restored_points":-2'),
    encode(take_back("B1", ref(3))).replace(b'"net_minor":0', b'"net_minor":-1'),
]


def test_the_tampered_samples_do_differ_from_the_good_one():
    read_head(GOOD)
    assert GOOD not in MALFORMED and len(set(MALFORMED)) == len(MALFORMED)


@pytest.mark.parametrize("payload", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_event_is_turned_away_at_the_door(payload):
    with pytest.raises(UnknownEvent) as told:
        read_head(payload)
    assert told.value.code == "event.unknown"


def test_till_and_centre_derive_the_same_uses_from_an_event():
    assert own_uses(EVERY_KIND[1]) == (use("promo:a"), use("points:earned", 10), use("points:spent", 5))
    assert own_uses(EVERY_KIND[2]) == (use("points:reversed", 4), use("points:spent", -2))
    # What is earned anew counts as earned; what was kept in money is not taken back.
    assert own_uses(EVERY_KIND[4]) == (use("points:earned", 2), use("points:reversed", 4))
    assert own_uses(EVERY_KIND[0]) == ()
    assert voided_uses(EVERY_KIND[1]) == (use("points:reversed", 10), use("points:spent", -5))


def test_an_event_that_moves_no_points_adds_no_points_uses():
    assert own_uses(sale("R1")) == ()
    assert voided_uses(sale("R1")) == ()


def test_an_event_that_nobody_could_read_is_never_written():
    odd = sale("R1", funded=(Funded(partner_id="bolt", amount_minor=0),))
    with pytest.raises(InvariantBroken):
        encode(odd)
