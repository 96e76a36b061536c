"""What tills are told: members with what is in their rows, hotlist, programme; cursors that miss nothing."""

import threading
from datetime import date

import msgspec
import pytest
from sqlalchemy import func, select

from central.backups.restoring import note_restore
from central.coalition.programmes import publish
from central.database.lanes import forget_tombstones, jump_all, stamp
from central.database.tables import changed, event, lot, member_page, posting, waiting
from central.members.members import block_card, lift_block, set_facts
from central.ports import replayable, writing
from central.posting.late import post_arrived, post_overdue
from central.tills.told_rows import ToldRows
from loyalty.cards.cards import CardRules, card_token, read_card
from loyalty.members import HotlistedCard, MemberRow, MemberView, PublishedMember, Use, view_of
from loyalty.programme.programme import programme_from, read_programme
from sync.lanes import LaneState, apply_page
from sync.wire import Ack, Page, PageAsk
from tests.central.tills import ANNA, BEN, CARD_KEY, CARDS, DAY, PROGRAMME, Centre, Till, told

MILK = Use(name="promo:milk", amount=1)


def members(page: Page) -> dict[int, PublishedMember]:
    rows = [msgspec.json.decode(row, type=PublishedMember) for row in page.rows]
    return {row.row.account_id: row for row in rows}


def token_of(number: str) -> str:
    return card_token(CARD_KEY, read_card(msgspec.convert(CARDS, CardRules), number))


def test_a_row_says_which_of_this_tills_events_are_in_it(centre: Centre) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    anna = centre.member(tier="gold", segments=["vegan", "kids"], language="pl", birthday_mmdd="0229")
    one.sell("R1", 10_000, told(anna), sku="milk")
    one.sell("R2", 10_000)
    one.upload()
    other.sell("R1", 5_000, told(anna))
    other.upload()
    rows = [members(till.page("members"))[anna] for till in (one, other)]
    assert rows[0] == PublishedMember(
        row=MemberRow(account_id=anna, version=2, own_seq=2, balance_points=140, tier="gold",
                      segments=("kids", "vegan"), birthday_mmdd="0229", counters=(MILK,)),
        cards=(token_of(ANNA),), language="pl",
    )  # fmt: skip
    assert (rows[1].row.own_seq, rows[1].row.balance_points) == (1, 140)


def test_counters_go_to_the_members_own_store_alone(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member(home_store_id="S1")
    one.sell("R1", 10_000, told(anna), sku="milk")
    one.upload()
    assert members(one.page("members"))[anna].row.counters == (MILK,)
    assert members(other.page("members"))[anna].row.counters is None


def test_what_one_till_was_told_is_not_read_again_for_the_next_until_it_changes(centre: Centre) -> None:
    one, other, third, anna = centre.till("S1"), centre.till("S2"), centre.till("S1"), centre.member(home_store_id="S1")
    one.sell("R1", 10_000, told(anna), sku="milk")
    one.upload()
    before = members(one.page("members"))[anna]
    assert members(other.page("members"))[anna].row == msgspec.structs.replace(before.row, own_seq=0, counters=None)
    with writing(centre.engine) as tx:
        tx.execute(lot.update().values(points=7))  # which no event did, so that nobody is told
    assert members(third.page("members"))[anna].row == msgspec.structs.replace(before.row, own_seq=0)
    other.sell("R1", 5_000, told(anna))
    other.upload()
    rows = [members(till.page("members"))[anna].row for till in (one, other, third)]
    assert [(row.version, row.own_seq, row.balance_points) for row in rows] == [(2, 1, 57), (2, 1, 57), (2, 0, 57)]


def test_rows_that_were_told_are_remembered_within_bounds() -> None:
    row = PublishedMember(row=MemberRow(account_id=1, version=1, own_seq=0), cards=())
    kept = ToldRows(most=2)
    for version in (1, 2, 3):
        kept.keep(1, version, "S1", "S1", row)
    kept.keep(2, 1, "S1", "S1", row)
    assert [kept.find(1, version, "S1") for version in (1, 2, 3)] == [None, None, row]
    assert [kept.find(2, 1, store) for store in ("S1", "S2")] == [row, None]
    kept.keep(3, 1, "", "S2", row)
    assert [kept.find(one, 3 if one == 1 else 1, "S1") for one in (1, 2, 3)] == [None, None, row]


def test_points_that_have_lapsed_are_not_in_the_balance(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna))
    till.upload()
    with writing(centre.engine) as tx:
        tx.execute(lot.update().values(valid_through="2026-03-03"))
    centre.now += DAY
    assert members(till.page("members"))[anna].row.balance_points == 100
    centre.now += DAY
    assert members(till.page("members"))[anna].row.balance_points == 0


def test_a_row_says_which_points_lapse_next_and_when(centre: Centre) -> None:
    till, anna, ben = centre.till(), centre.member(), centre.member(BEN)
    put_lots(centre, anna, {"2026-03-01": 5, "2026-03-20": 0, "2026-03-31": 30, "2026-04-30": 40, "9999-12-31": 50})
    put_lots(centre, anna, {"2026-03-31": 7}, issuer="bolt")
    put_lots(centre, ben, {"9999-12-31": 60})
    rows = members(till.page("members"))
    assert lapsing(rows[anna]) == (127, 37, date(2026, 3, 31))
    assert lapsing(rows[ben]) == (60, 0, None)
    centre.now += 30 * DAY  # 1 April
    assert lapsing(members(till.page("members"))[anna]) == (90, 40, date(2026, 4, 30))


# On 2 March, of 10 points through that day and 20 through the next: balance, what lapses next, and when.
@pytest.mark.parametrize(
    ("options", "told_of"),
    [({}, (30, 10, date(2026, 3, 2))), ({"expiry": "start_of_day"}, (20, 20, date(2026, 3, 3))),
     ({"expiry": "instant", "expiry_at": "06:00"}, (30, 10, date(2026, 3, 2)))],
)  # fmt: skip
def test_what_lapses_early_is_left_out_once_it_is_gone_for_every_till(
    centre: Centre, options: dict, told_of: tuple
) -> None:
    till, anna = centre.till(), centre.member()
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode({**PROGRAMME, "options": options}), centre.now)
    put_lots(centre, anna, {"2026-03-02": 10, "2026-03-03": 20})
    assert lapsing(members(till.page("members"))[anna]) == told_of


def test_what_a_till_keeps_itself_it_takes_off_the_points_that_lapse_next(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    one.sell("R1", 10_000, told(anna))
    one.upload()
    with writing(centre.engine) as tx:
        tx.execute(lot.update().values(valid_through="2026-03-31"))
    gone = one.receipt("R2", 5_000, told(anna))
    other.take_back("B1", one.append(gone), gone, 500)  # of a receipt that has not come
    other.sell("R1", 5_000, told(anna, 1, 100), spend=30, sku="milk")
    other.upload()
    row = members(other.page("members"))[anna].row
    # The centre holds 70 of the 100, and 44 of bolt's that never lapse, for 45.00 less 0.30; the till keeps both steps.
    assert (row.own_seq, row.balance_points, row.lapsing_points, row.lapsing_on) == (0, 100, 100, date(2026, 3, 31))
    assert view_of(row, [Use(name="points:spent", amount=30)]).lapsing_points == 70
    assert lapsing(members(one.page("members"))[anna])[1:] == (70, date(2026, 3, 31))


def lapsing(told_of: PublishedMember) -> tuple:
    return told_of.row.balance_points, told_of.row.lapsing_points, told_of.row.lapsing_on


def put_lots(centre: Centre, account_id: int, points: dict[str, int], issuer: str = "acme") -> None:
    with writing(centre.engine) as tx:
        rows = [{"account_id": account_id, "valid_through": day, "issuer_id": issuer, "terms_id": f"{issuer}-1",
                 "points": held} for day, held in points.items()]  # fmt: skip
        tx.execute(lot.insert(), rows)


def test_what_waits_stays_with_its_till_and_nothing_counts_twice(centre: Centre) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    receipt = one.receipt("R1", 10_000, told(anna))
    ref = one.append(receipt)
    other.sell("R1", 20_000, told(anna))
    other.take_back("B1", ref, receipt, 500)  # 50 points back, of a receipt that has not come
    other.sell("R2", 3_000, told(anna, 0), sku="milk")  # 27 points and the offer
    other.upload()
    row = members(other.page("members"))[anna].row
    assert (row.version, row.own_seq) == (2, 1)
    kept = [Use(name="points:reversed", amount=50), Use(name="points:earned", amount=27), MILK]
    view = view_of(row, kept)
    assert (view.balance_points, view.counters) == (177, (MILK,))
    assert members(one.page("members"))[anna].row.balance_points == 227
    one.upload()
    row = members(other.page("members"))[anna].row
    assert (row.version, row.own_seq, row.balance_points, row.counters) == (4, 3, 277, (MILK,))


def test_a_member_of_a_sale_that_is_kept_out_is_told_anew_as_of_that_sale(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    till.sell("R1", 10_000, told(anna))
    till.upload()
    before = till.page("members")
    till.sell("R1", 99_000, told(anna, 1, 100))  # a till whose disk was put back gives an id once more
    till.sell("R1", 99_000, told(404))
    assert till.upload().flagged == ((2, "receipt_id_reused"), (3, "receipt_id_reused"))
    row = members(till.page("members", before.to_cursor))[anna].row
    assert (row.version, row.own_seq, row.balance_points) == (1, 3, 100)
    assert members(till.page("members")).keys() == {anna}


def test_a_member_of_a_void_that_is_given_up_is_told_anew_as_of_that_void(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    sold = till.receipt("R1", 10_000, told(anna))
    of = till.append(sold)
    till.void(msgspec.structs.replace(of, seq=99), sold)
    till.upload()
    before = till.page("members")
    assert members(before)[anna].row.own_seq == 1
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now + 8 * DAY, centre.random) == 1
        stamp(tx)
    assert members(till.page("members", before.to_cursor))[anna].row.own_seq == 2


def test_pages_follow_on_each_other_and_tell_only_what_changed(centre: Centre) -> None:
    till, anna, ben = centre.till(), centre.member(ANNA), centre.member(BEN)
    state, pages = LaneState(), []
    for _ in range(3):
        page = till.page("members", state.cursor, limit=1)
        state = apply_page(page, "members", state)
        pages.append(list(members(page)))
    assert sorted(pages[0] + pages[1]) == sorted([anna, ben])
    assert (pages[2], state.cursor, state.version) == ([], "2", 2)
    with writing(centre.engine) as tx:
        set_facts(tx, ben, centre.random, tier="gold")
    page = till.page("members", state.cursor)
    state = apply_page(page, "members", state)
    assert (page.restart, list(members(page)), state.version) == (False, [ben], 3)


def test_a_cursor_from_before_a_restore_begins_again_and_the_version_never_falls(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    assert till.page("members", "77").restart
    with writing(centre.engine) as tx:
        jump_all(tx)
    page = till.page("members", "1")
    assert (page.version, page.restart) == (1_000_000_001, False)
    assert list(members(till.page("members"))) == [anna]


def test_what_went_back_with_a_restore_goes_down_again(centre: Centre) -> None:
    """Tills heard of a card that was freed, and head office of a backup from before that has it blocked."""
    till, token = centre.till(), token_of(ANNA)
    centre.member()
    with writing(centre.engine) as tx:
        block_card(tx, token, "lost", centre.now)
    heard = {lane: str(till.page(lane).version + 1) for lane in ("hotlist", "programme", "certificates")}
    with writing(centre.engine) as tx:
        note_restore(tx, centre.now)
    pages = {lane: till.page(lane, cursor) for lane, cursor in heard.items()}
    assert [pages[lane].restart for lane in heard] == [True, True, True]
    assert [msgspec.json.decode(row)["card_token"] for row in pages["hotlist"].rows] == [token]
    assert [read_programme(bytes(row)) for row in pages["programme"].rows] == [programme_from(PROGRAMME)]
    assert not any(till.page(lane, page.to_cursor).restart for lane, page in pages.items())


def all_of(till: Till, lane: str, most: int = 6) -> list[Page]:
    """A lane from its beginning to its end, a row a page."""
    state, pages = LaneState(), []
    while not pages or pages[-1].more:
        assert len(pages) < most, "it has no end"
        pages.append(page_of(till, lane, state.cursor))
        state = apply_page(pages[-1], lane, state)
    return pages


def page_of(till: Till, lane: str, cursor: str) -> Page:
    ask = PageAsk(**till._says(), lane=lane, cursor=cursor, limit=100, most_bytes=1)
    record = till.centre.store.till(till.head.till_id)
    assert record
    return till.centre.store.page_for(record, ask, till.centre.now)


def test_after_a_restore_a_lane_comes_to_its_end_however_many_pages_it_takes(centre: Centre) -> None:
    till, newer = centre.till(), {**PROGRAMME, "options": {"expiry": "start_of_day"}}
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(newer), centre.now)
        for token in ("aa", "bb", "cc"):
            block_card(tx, token * 16, "lost", centre.now)
        note_restore(tx, centre.now)
    pages = all_of(till, "hotlist")
    assert [page.restart for page in pages] == [True, False, False]
    assert [msgspec.json.decode(row)["card_token"][:2] for page in pages for row in page.rows] == ["aa", "bb", "cc"]
    documents = [read_programme(bytes(row)) for page in all_of(till, "programme") for row in page.rows]
    assert documents == [programme_from(PROGRAMME), programme_from(newer)]


def test_a_hotlist_half_told_begins_anew_only_where_a_block_that_it_told_was_lifted_and_forgotten(
    centre: Centre,
) -> None:
    till = centre.till()
    with writing(centre.engine) as tx:
        for token in ("aa", "bb", "cc", "dd"):
            block_card(tx, token * 16, "lost", centre.now)
        lift_block(tx, "dd" * 16, centre.now)
    forget_lifted(centre)
    assert [len(page.rows) for page in all_of(till, "hotlist")] == [1, 1, 1]
    half = page_of(till, "hotlist", page_of(till, "hotlist", "").to_cursor).to_cursor
    with writing(centre.engine) as tx:
        lift_block(tx, "aa" * 16, centre.now)
    assert not page_of(till, "hotlist", half).restart
    forget_lifted(centre)
    assert page_of(till, "hotlist", half).restart


def test_a_till_that_was_off_as_head_office_was_restored_begins_its_hotlist_anew_however_late_it_comes(
    centre: Centre,
) -> None:
    till = centre.till()
    with writing(centre.engine) as tx:
        block_card(tx, "aa" * 16, "lost", centre.now)
        lift_block(tx, "aa" * 16, centre.now)
        block_card(tx, "bb" * 16, "lost", centre.now)
        forget_tombstones(tx, centre.now)
    freed = str(till.page("hotlist").version + 1)  # what the till heard last and the backup has not: bb serves again
    centre.now += 91 * DAY
    with writing(centre.engine) as tx:
        note_restore(tx, centre.now)
    with writing(centre.engine) as tx:
        assert forget_tombstones(tx, centre.now) == 1
    page = till.page("hotlist", freed)
    assert (page.restart, [msgspec.json.decode(row)["card_token"] for row in page.rows]) == (True, ["bb" * 16])


def forget_lifted(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        forget_tombstones(tx, centre.now)
    centre.now += 91 * DAY
    with writing(centre.engine) as tx:
        assert forget_tombstones(tx, centre.now) == 1


def test_a_blocked_card_reaches_the_tills_and_a_lifted_block_too(centre: Centre) -> None:
    till, token = centre.till(), token_of(ANNA)
    centre.member()
    with writing(centre.engine) as tx:
        block_card(tx, "ee" * 16, "stolen", centre.now)
        block_card(tx, token, "lost", centre.now)
    page = till.page("hotlist")
    rows = [msgspec.json.decode(row, type=HotlistedCard) for row in page.rows]
    stolen, lost = (HotlistedCard(card_token=t, reason=why) for t, why in (("ee" * 16, "stolen"), (token, "lost")))
    assert rows == [stolen, lost]
    with writing(centre.engine) as tx:
        lift_block(tx, token, centre.now)
    rows = [msgspec.json.decode(row, type=HotlistedCard) for row in till.page("hotlist", page.to_cursor).rows]
    assert rows == [HotlistedCard(card_token=token, reason="lost", lifted=True)]
    assert len(till.page("hotlist").rows) == 1


def test_a_blocked_card_is_told_before_members_who_changed_have_their_numbers(centre: Centre) -> None:
    till = centre.till()
    anna = centre.member(ANNA)
    with writing(centre.engine) as tx:
        block_card(tx, token_of(BEN), "lost", centre.now)
    till.sell("R1", 1_000, told(anna))
    till.upload()
    (row,) = till.page("hotlist").rows
    assert msgspec.json.decode(row, type=HotlistedCard).card_token == token_of(BEN)
    till.page("programme")
    assert {account for (account,) in centre.rows(select(changed.c.account_id))} == {anna}
    assert anna in members(till.page("members"))
    assert centre.rows(select(changed.c.account_id)) == []


def test_the_last_two_programmes_go_down_as_they_were_published(centre: Centre) -> None:
    till = centre.till()
    first = till.page("programme")
    versions = [PROGRAMME, {**PROGRAMME, "name": "Two"}, {**PROGRAMME, "name": "Three"}]
    with writing(centre.engine) as tx:
        for document in versions[1:]:
            publish(tx, msgspec.json.encode(document), centre.now)
    names = [read_programme(bytes(row)).name for row in till.page("programme", first.to_cursor).rows]
    assert names == ["Two", "Three"]
    assert [read_programme(bytes(row)).name for row in till.page("programme").rows] == ["Two", "Three"]


def test_an_acknowledgement_tells_of_newer_lanes(centre: Centre) -> None:
    till, anna = centre.till(), centre.member()
    assert till.hello().lanes.members == 1
    till.sell("R1", 10_000, told(anna))
    till.upload()
    assert till.hello().lanes.members == 2


@pytest.mark.postgresql
def test_tills_that_send_at_once_lose_no_point_and_no_row(lent_postgres: str) -> None:
    centre = Centre(lent_postgres)
    tills = [centre.till(store) for store in ("S1", "S2", "S3")]
    accounts = [centre.member(ANNA), centre.member(BEN)]
    for till in tills:
        for n in range(40):
            till.sell(f"R{n}", 1_000, told(accounts[(n // 2) % 2]))
        till.sell("last", 500, MemberView(), token="ab" * 16)
    seen: dict[int, int] = {}
    trouble: list[BaseException] = []

    def run(till) -> None:
        try:
            for first in range(1, 42, 5):
                assert isinstance(till.send(till.batch(first, min(first + 4, 41))), Ack)
                centre.store.stamp()
        except BaseException as problem:
            trouble.append(problem)
            raise

    threads = [threading.Thread(target=run, args=(till,)) for till in tills]
    for thread in threads:
        thread.start()
    reader, cursor = centre.till("S1"), ""
    while any(thread.is_alive() for thread in threads):
        page = reader.page("members", cursor, limit=2)
        seen |= {account_id: row.row.version for account_id, row in members(page).items()}
        cursor = page.to_cursor
    for thread in threads:
        thread.join()
    page = reader.page("members", cursor)
    seen |= {account_id: row.row.version for account_id, row in members(page).items()}
    assert trouble == []
    unknown = centre.account_of("ab" * 16)
    assert seen == {accounts[0]: 60, accounts[1]: 60, unknown: 3}
    assert centre.rows(select(func.sum(lot.c.points))) == [(1215,)]
    assert centre.rows(select(func.sum(posting.c.amount)).where(posting.c.source == "issued")) == [(1215,)]
    assert centre.rows(select(func.count()).select_from(changed)) == [(0,)]
    numbers = [row[0] for row in centre.rows(select(member_page.c.no))]
    assert len(numbers) == 3
    centre.engine.dispose()


@pytest.mark.postgresql
def test_returns_that_cross_their_receipts_on_the_way_are_posted_once(lent_postgres: str) -> None:
    centre = Centre(lent_postgres)
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    for n in range(40):
        receipt = one.receipt(f"R{n}", 1_000, told(anna))
        other.take_back(f"B{n}", one.append(receipt), receipt, 1000)
    trouble: list[BaseException] = []

    def send(till) -> None:
        try:
            for first in range(1, 41, 2):
                assert isinstance(till.send(till.batch(first, first + 1)), Ack)
        except BaseException as problem:
            trouble.append(problem)
            raise

    @replayable
    def sweep() -> int:
        with writing(centre.engine) as tx:
            return post_arrived(tx, centre.now, centre.random)

    threads = [threading.Thread(target=send, args=(till,)) for till in (one, other)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sweep()
    sweep()
    assert trouble == []
    assert centre.rows(select(event.c.state, func.count()).group_by(event.c.state)) == [("posted", 80)]
    assert centre.rows(select(func.count()).select_from(waiting)) == [(0,)]
    assert centre.rows(select(func.sum(lot.c.points))) == [(0,)]
    assert centre.version(anna) == 80
    centre.engine.dispose()
