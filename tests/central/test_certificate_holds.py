"""Money of a certificate set aside for one till: what others may have meanwhile, and when it ends, on both engines."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import select

from central.database import tables as t
from central.posting.certificate_holds import LASTS_MS, REMEMBERED_MS, UNDER_WAY_MS
from sync.desk import CertificateHeld, DeskAsk
from sync.wire import Ack
from tests.central.busy_day import verify
from tests.central.test_certificates import CODE, gifts, sale, sell
from tests.central.tills import DAY, Centre, Till

__all__ = ["gifts"]


def hold(
    centre: Centre, till: Till, amount: int, code: str = CODE, until_ms: int = 0, counter: int = 0, epoch: int = 1
) -> CertificateHeld:
    ask = DeskAsk(till_id=till.head.till_id, epoch=epoch, key_no=1, counter=counter, sent_at_ms=centre.now,
                  what="hold_certificate", certificate=code, amount_minor=amount,
                  held_until_ms=until_ms)  # fmt: skip
    told = centre.store.take_desk_ask(ask, centre.now)
    assert told.held is not None
    return told.held


@pytest.fixture
def acme(gifts: Centre) -> Till:
    """50.00 are on a certificate that this till sold."""
    till = gifts.till()
    sell(till, "R1", sold={CODE: 5_000})
    return till


def test_what_one_till_holds_no_other_gets(gifts: Centre, acme: Till) -> None:
    bolt, third = gifts.till("S2"), gifts.till()
    assert hold(gifts, acme, 1_800) == CertificateHeld(amount_minor=1_800, until_ms=gifts.now + LASTS_MS)
    assert hold(gifts, bolt, 5_000).amount_minor == 3_200
    assert hold(gifts, third, 1).amount_minor == 0
    # Asked again it takes the place of what the till had.
    assert hold(gifts, acme, 5_000).amount_minor == 1_800
    assert hold(gifts, bolt, 1_000).amount_minor == 1_000
    assert hold(gifts, acme, 5_000).amount_minor == 4_000


def test_what_is_given_back_or_over_is_there_for_others(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, acme, 5_000)
    assert hold(gifts, bolt, 5_000).amount_minor == 0
    assert hold(gifts, acme, 0).amount_minor == 0
    assert hold(gifts, bolt, 5_000).amount_minor == 5_000
    gifts.now += LASTS_MS - 1
    assert hold(gifts, acme, 5_000).amount_minor == 0
    gifts.now += UNDER_WAY_MS + 1
    bolt.hello()
    assert hold(gifts, acme, 5_000).amount_minor == 5_000


@pytest.mark.parametrize("till_says", ["nothing", "too early", "that it has more", "that this is all", "a day is over"])
def test_a_till_that_was_not_heard_since_keeps_what_it_may_have_been_paid_with(
    gifts: Centre, acme: Till, till_says: str
) -> None:
    bolt = gifts.till("S2")
    hold(gifts, bolt, 2_000)
    gifts.now += LASTS_MS + UNDER_WAY_MS
    if till_says == "too early":
        gifts.now -= 1
        bolt.hello()
    elif till_says == "a day is over":
        gifts.now += REMEMBERED_MS - UNDER_WAY_MS
    elif till_says != "nothing":
        if till_says == "that it has more":
            bolt.sell("R9", 100)
        bolt.hello()
    free = {"that this is all": 5_000, "a day is over": 5_000}
    assert hold(gifts, acme, 5_000).amount_minor == free.get(till_says, 3_000)


def test_what_it_was_paid_with_without_the_line_is_covered_however_late_it_comes(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, bolt, 5_000)
    bolt.append(sale(bolt, "R2", goods=1_800, pays=[(CODE, 1_800, 5_000)]))
    gifts.now += 6 * 3_600_000
    assert hold(gifts, acme, 5_000).amount_minor == 0
    bolt.upload()
    assert (hold(gifts, acme, 5_000).amount_minor, gifts.flags()) == (3_200, [])


def test_a_till_gives_back_the_hold_that_it_names_and_no_later_one(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    first = hold(gifts, bolt, 2_000)
    gifts.now += 1
    second = hold(gifts, bolt, 3_000)
    hold(gifts, bolt, 0, until_ms=first.until_ms)
    assert hold(gifts, acme, 5_000).amount_minor == 2_000
    assert hold(gifts, bolt, 0, until_ms=second.until_ms) == CertificateHeld(amount_minor=0, until_ms=second.until_ms)
    assert hold(gifts, acme, 5_000).amount_minor == 5_000


def test_a_hold_ends_as_its_sale_arrives_and_no_other_till_s_does(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, acme, 2_000)
    hold(gifts, bolt, 1_000)
    sell(acme, "R2", goods=1_800, pays=[(CODE, 1_800, 5_000)])
    # 32.00 are left, 10.00 of them held by bolt.
    assert hold(gifts, gifts.till(), 5_000).amount_minor == 2_200
    assert hold(gifts, bolt, 5_000).amount_minor == 1_000
    assert verify(gifts).violations == ()


def test_a_hold_does_not_end_as_its_till_puts_money_on_the_certificate(gifts: Centre, acme: Till) -> None:
    """The sale that it was held for is still to come."""
    bolt = gifts.till("S2")
    hold(gifts, acme, 5_000)
    sell(acme, "R2", sold={CODE: 1_000})
    assert hold(gifts, bolt, 6_000).amount_minor == 1_000
    hold(gifts, bolt, 0)
    sell(acme, "R3", goods=5_000, pays=[(CODE, 5_000, 5_000)])
    assert hold(gifts, bolt, 6_000).amount_minor == 1_000
    assert gifts.flags() == []


def test_what_was_not_held_is_booked_all_the_same(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, acme, 5_000)
    sell(bolt, "R2", goods=5_000, pays=[(CODE, 5_000, 5_000)])
    assert hold(gifts, acme, 5_000).amount_minor == 0
    assert gifts.flags() == []


@pytest.mark.parametrize("code", ["d" * 32, ""])
def test_nothing_is_held_of_what_nobody_sold(gifts: Centre, acme: Till, code: str) -> None:
    assert hold(gifts, acme, 100, code).amount_minor == 0
    assert gifts.rows(select(t.certificate.c.code)) == [(CODE,)]


def test_nothing_is_held_of_a_blocked_one_or_of_money_whose_last_day_is_over(gifts: Centre, acme: Till) -> None:
    last_day = date(2026, 4, 1)
    start = gifts.now
    gifts.now = start + (last_day - date(2026, 3, 2)).days * DAY + DAY  # the day after may be the last one elsewhere
    assert hold(gifts, acme, 100).amount_minor == 100
    gifts.now += DAY
    assert hold(gifts, acme, 100).amount_minor == 0


def test_rows_of_holds_that_are_long_over_go(gifts: Centre, acme: Till) -> None:
    hold(gifts, acme, 100)
    gifts.now += LASTS_MS + REMEMBERED_MS + 1
    hold(gifts, acme, 0, "d" * 32)
    assert gifts.rows(select(t.certificate_hold.c.code)) == [("d" * 32,)]


def test_tills_that_ask_at_once_get_no_more_than_there_is(gifts: Centre, acme: Till) -> None:
    tills = [gifts.till() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        held = [one.amount_minor for one in pool.map(lambda till: hold(gifts, till, 2_000), tills)]
    assert sorted(held) == [0, 0, 0, 1_000, 2_000, 2_000]


def test_an_ask_that_comes_after_a_later_one_is_told_what_holds_now(gifts: Centre, acme: Till) -> None:
    bolt, later = gifts.till("S2"), gifts.now + 1_000
    hold(gifts, bolt, 5_000, counter=7)
    gifts.now = later
    assert hold(gifts, bolt, 2_000, counter=8) == CertificateHeld(amount_minor=2_000, until_ms=later + LASTS_MS)
    gifts.now += 60_000
    for late in (7, 8):
        assert hold(gifts, bolt, 5_000, counter=late) == CertificateHeld(amount_minor=2_000, until_ms=later + LASTS_MS)
    assert hold(gifts, acme, 5_000, counter=1).amount_minor == 3_000
    assert hold(gifts, bolt, 1_000, counter=9).amount_minor == 1_000


def test_what_was_given_back_is_not_set_aside_again_by_the_ask_for_it_coming_twice(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    held = hold(gifts, bolt, 5_000, counter=7)
    assert hold(gifts, bolt, 0, until_ms=held.until_ms, counter=8).amount_minor == 0
    assert hold(gifts, bolt, 5_000, counter=7).amount_minor == 0
    assert hold(gifts, acme, 5_000).amount_minor == 5_000


def test_the_giving_back_of_a_hold_that_comes_twice_leaves_a_later_one(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    held = hold(gifts, bolt, 5_000, counter=7)
    hold(gifts, bolt, 0, until_ms=held.until_ms, counter=8)
    again = hold(gifts, bolt, 3_000, counter=9)
    assert again.until_ms == held.until_ms  # within the same millisecond: the counter alone tells them apart
    assert hold(gifts, bolt, 0, until_ms=held.until_ms, counter=8) == again
    assert hold(gifts, acme, 5_000).amount_minor == 2_000


def test_a_hold_that_ended_with_its_sale_does_not_come_back(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, bolt, 1_800, counter=3)
    sell(bolt, "R2", goods=1_800, pays=[(CODE, 1_800, 5_000)])
    assert hold(gifts, bolt, 1_800, counter=3).amount_minor == 0
    assert hold(gifts, acme, 5_000).amount_minor == 3_200


def test_an_ask_is_known_for_an_old_one_after_its_row_is_forgotten_too(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, bolt, 5_000, counter=7)
    gifts.now += LASTS_MS + REMEMBERED_MS + 1
    assert hold(gifts, bolt, 0, "d" * 32, counter=20).amount_minor == 0
    assert gifts.rows(select(t.certificate_hold.c.code)) == [("d" * 32,)]
    assert hold(gifts, bolt, 5_000, counter=7) == CertificateHeld(amount_minor=0, until_ms=gifts.now)
    assert hold(gifts, acme, 1_000).amount_minor == 1_000
    assert hold(gifts, bolt, 5_000, counter=21).amount_minor == 4_000


def test_a_new_enrolment_counts_from_the_beginning(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    hold(gifts, bolt, 2_000, counter=900)
    newer = Till(gifts, "S2", till_id=bolt.head.till_id, seed="again")
    assert hold(gifts, newer, 3_000, counter=1, epoch=2).amount_minor == 3_000


def test_a_till_of_before_asks_were_counted_is_served_as_ever(gifts: Centre, acme: Till) -> None:
    bolt = gifts.till("S2")
    assert hold(gifts, bolt, 5_000).amount_minor == 5_000
    assert hold(gifts, bolt, 2_000).amount_minor == 2_000
    # Updated, it counts; put back to the version of before, it does not again.
    assert hold(gifts, bolt, 1_000, counter=4).amount_minor == 1_000
    assert hold(gifts, bolt, 3_000).amount_minor == 3_000


@pytest.mark.parametrize("sign_of_life", ["an ask", "its batch of before, sent once more"])
def test_a_hold_stays_where_a_till_was_heard_and_did_not_say_that_nothing_is_left(
    gifts: Centre, acme: Till, sign_of_life: str
) -> None:
    bolt = gifts.till("S2")
    bolt.sell("R1", 100)
    before = bolt.batch()
    bolt.send(before)
    bolt.sent = bolt.head.seq
    hold(gifts, bolt, 5_000)
    bolt.append(sale(bolt, "R2", goods=5_000, pays=[(CODE, 5_000, 5_000)]))
    gifts.now += LASTS_MS + UNDER_WAY_MS
    if sign_of_life == "an ask":
        bolt.page("hotlist")
    else:
        assert isinstance(bolt.send(before), Ack)
    assert hold(gifts, acme, 5_000).amount_minor == 0
    bolt.upload()
    assert (hold(gifts, acme, 5_000).amount_minor, gifts.flags()) == (0, [])
