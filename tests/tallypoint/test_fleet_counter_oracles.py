"""What is said at the counter, and what stands on certificates, can be seen to break: a history is played, something is
done to it, and it is judged."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, update

from central.database.tables import parked_basket
from central.tills import desk_asks
from central.tills.parked_baskets import give_basket
from edge.journal.parked_kept import KeptBasket, ParkedKept
from loyalty.baskets import Line
from loyalty.ledger import return_void_postings
from sync.desk import DeskAsk
from sync.parked_office import OfficeTold
from tallypoint.fleet import counter, gifts, workload
from tallypoint.fleet.coalition import card_numbers
from tallypoint.fleet.customers import Customers, worth
from tallypoint.fleet.disk import image_of
from tallypoint.fleet.oracle_counter import Heard, judge_consents
from tallypoint.fleet.record import Record, Said
from tallypoint.fleet.run import judge
from tallypoint.fleet.whose import Whose
from tallypoint.fleet.world import Fleet, Plan
from tests.tallypoint.test_fleet_oracles import at_centre, broken

DOINGS = {
    "sale": 10, "return": 3, "exchange": 3, "join": 4, "card": 4, "consent": 4, "confirm": 4, "claim": 4,
    "gift_order": 4, "gift_sale": 4, "gift_pay": 4, "park": 4, "resume": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def once() -> Fleet:
    return played()


@pytest.fixture
def fleet(once: Fleet) -> Iterator[Fleet]:
    """A history that was played once, as it was when it ended."""
    machines = [disk for one in once.machines for disk in (one.disk.writer, one.cache_disk.writer)]
    disks = [once.office.disk.connection, *machines]
    images, given = [image_of(disk) for disk in disks], list(once.record.given)
    yield once
    once.record.given = given
    once.mishaps.odd_tills.clear()
    for image, disk in zip(images, disks, strict=True):
        image.backup(disk)


def played(doings: dict[str, int] = DOINGS, seed: int = 9) -> Fleet:
    """A busy counter without faults."""
    fleet = Fleet(Plan(tills=2, transactions=120, seed=seed, faults=()))
    for pos in fleet._pos:
        pos.does(doings)
    fleet.play()
    return fleet


def one(fleet: Fleet, query: str) -> tuple:
    return fleet.office.disk.connection.execute(query).fetchone()


def test_a_busy_counter_does_everything_and_holds(fleet: Fleet) -> None:
    assert judge(fleet).violations == ()
    kinds = {told.kind for told in fleet.record.told.values()}
    assert kinds >= {"sale", "return", "join", "card", "consent", "claim", "certificate"}
    assert {said.what for said in fleet.record.said} == {"given", "withdrawn", "confirmed"}
    assert fleet.record.resumed and any(told.approved for told in fleet.record.told.values())
    assert len(fleet.consents_heard()) > 3


def test_a_number_that_two_cards_have_is_found(fleet: Fleet) -> None:
    given = next(one for one in fleet.record.given if one.number)
    fleet.record.given.append(given._replace(event_id="again"))
    assert "card" in broken(fleet)


def test_a_number_that_a_till_gave_again_after_it_was_put_back_is_found_where_nobody_is_told(fleet: Fleet) -> None:
    given = next(one for one in fleet.record.given if one.number)
    place = next(told.place for told in fleet.record.told.values() if told.kind == "consent")
    fleet.record.given.append(given._replace(event_id="again", place=place))
    fleet.mishaps.odd_tills.add(place[0])
    fleet.mishaps.odd_tills.add(given.place[0])
    numbers = [one for one in judge(fleet).violations if "gave one number away" in one]
    assert [one.endswith("and nobody is told") for one in numbers] == [True]


def test_two_who_joined_and_are_one_member_are_found(fleet: Fleet) -> None:
    first, second = [one for one in fleet.record.given if one.other is None and one.token][:2]
    at_centre(fleet, "UPDATE card SET account_id = (SELECT account_id FROM card WHERE card_token ="
                     f" '{first.token}') WHERE card_token = '{second.token}'")  # fmt: skip
    assert any(one.startswith("card: two members who joined share account") for one in judge(fleet).violations)


def test_a_card_that_leads_to_another_member_is_found(fleet: Fleet) -> None:
    given = next(one for one in fleet.record.given if one.token and isinstance(one.other, int))
    other = one(fleet, f"SELECT account_id FROM account WHERE account_id <> {given.other} AND status = 'registered'")[0]
    at_centre(fleet, f"UPDATE card SET account_id = {other} WHERE card_token = '{given.token}'")
    assert "card" in broken(fleet)


def test_a_member_who_joined_and_is_not_one_is_found(fleet: Fleet) -> None:
    joined = next(one for one in fleet.record.given if one.other is None and one.token)
    at_centre(fleet, "UPDATE account SET status = 'unregistered' WHERE account_id ="
                     f" (SELECT account_id FROM card WHERE card_token = '{joined.token}')")  # fmt: skip
    assert "card" in broken(fleet)


def test_a_blocked_card_that_is_served_is_found(fleet: Fleet) -> None:
    at_centre(fleet, "DELETE FROM hotlist WHERE rowid = (SELECT min(rowid) FROM hotlist)")
    assert {"card", "copies"} <= broken(fleet)


def test_a_till_that_does_not_know_of_a_blocked_card_is_found(fleet: Fleet) -> None:
    fleet.machines[1].cache_disk.writer.execute("DELETE FROM hotlist")
    assert broken(fleet) == {"copies"}


def test_a_consent_that_head_office_forgot_is_found(fleet: Fleet) -> None:
    token = fleet.consents_heard()[0].token
    for machine in fleet.machines:
        machine.disk.writer.execute("DELETE FROM own_consent")
    at_centre(fleet, "DELETE FROM consent WHERE account_id ="
                     f" (SELECT account_id FROM card WHERE card_token = '{token}')")  # fmt: skip
    assert "consent" in broken(fleet)


def test_a_claim_that_grants_a_point_too_many_is_found(fleet: Fleet) -> None:
    at_centre(fleet, "UPDATE receipt_claim SET points = points + 1 WHERE state = 'granted'")
    assert "claim" in broken(fleet)


def test_an_approval_that_is_lost_is_found(fleet: Fleet) -> None:
    at_centre(fleet, "DELETE FROM approval WHERE rowid = (SELECT min(rowid) FROM approval)")
    assert "approval" in broken(fleet)


def test_an_approval_that_nobody_gave_is_found(fleet: Fleet) -> None:
    till_id, epoch, seq = next(told.place[:3] for told in fleet.record.told.values() if told.kind == "join")
    at_centre(fleet, f"INSERT INTO approval VALUES ('{till_id}', {epoch}, {seq}, '', '', '', '', '', '', '', '')")
    assert "approval" in broken(fleet)


def test_money_that_appears_on_a_certificate_is_found(fleet: Fleet) -> None:
    at_centre(fleet, "UPDATE certificate SET balance_minor = balance_minor + 1 WHERE balance_minor > 0")
    assert {"certificate", "copies"} <= broken(fleet)


def test_a_certificate_that_was_blocked_and_is_not_is_found(fleet: Fleet) -> None:
    assert fleet.record.blocked_gifts
    at_centre(fleet, "UPDATE certificate SET blocked = ''")
    assert "certificate" in broken(fleet)


def test_a_certificate_that_came_back_by_mistake_and_stays_out_of_use_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"gift_sale": 3, "gift_back": 3, "unreturn": 4, "gift_pay": 1}
    fleet = played(busy)
    undone = [told for told in fleet.record.told.values() if told.event_id.startswith("void:") and told.gifts]
    assert len(undone) > 3 and broken(fleet) == set()
    monkeypatch.setattr(return_void_postings, "put_back", lambda *_: None)
    assert "certificate" in broken(played(busy))


def test_a_basket_that_two_take_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParkedKept, "take", lambda *_: None)
    assert "parked" in broken(played({"park": 1, "resume": 2}))


def test_a_basket_that_comes_back_without_a_line_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    add = ParkedKept.add

    def lose(kept: ParkedKept, basket: KeptBasket) -> None:
        sale = json.loads(basket.body)
        del sale["sale"]["basket"]["lines"][:1]
        add(kept, msgspec.structs.replace(basket, body=json.dumps(sale).encode()))

    monkeypatch.setattr(ParkedKept, "add", lose)
    fleet = played({"park": 1, "resume": 2})
    assert any("did not come back as it was laid aside" in one for one in judge(fleet).violations)


def test_a_claim_that_is_told_a_point_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = counter.claim_receipt

    def promise(*asked: Any) -> Any:
        made = claim(*asked)
        return made if made.points is None else msgspec.structs.replace(made, points=made.points + 1)

    monkeypatch.setattr(counter, "claim_receipt", promise)
    fleet = played({"sale": 4, "claim": 2})
    assert any(one.startswith("claim: ") and "is told" in one for one in judge(fleet).violations)


def test_a_certificate_that_is_sold_without_being_written_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    order = gifts.order_certificate

    def forget(*asked: Any) -> Any:
        return msgspec.structs.replace(order(*asked), written=None)

    fleet = Fleet(Plan(tills=2, transactions=20, seed=9, faults=()))
    for pos in fleet._pos:
        pos.does({"gift_order": 1})
    monkeypatch.setattr(gifts, "order_certificate", forget)
    fleet.play()
    assert any("was asked and not written" in one for one in judge(fleet).violations)


def test_a_basket_that_head_office_gives_to_two_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_again(tx: Connection, ask: DeskAsk, now_ms: int) -> OfficeTold:
        tx.execute(update(parked_basket).values(state="open"))
        return give_basket(tx, ask, now_ms)

    monkeypatch.setattr(workload, "ANYWHERE", 1.0)
    assert "parked" not in broken(played({"park": 1, "resume": 2}))
    monkeypatch.setattr(desk_asks, "give_basket", give_again)
    assert "parked" in broken(played({"park": 1, "resume": 2}))


def test_a_sale_that_earns_other_points_than_its_goods_are_worth_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "worth", lambda lines: worth(lines) + 1)
    assert "worth" in broken(played({"sale": 1}))


def test_who_joins_stands_on_no_tills_disk_in_clear(fleet: Fleet) -> None:
    fleet.machines[0].cache_disk.writer.execute("INSERT INTO goods (sku, name) VALUES ('note', 'Nobody Known j1')")
    assert broken(fleet) == {"person"}


def test_goods_are_worth_a_point_for_each_two_and_a_half_with_a_tenth_off_milk() -> None:
    milk, bread = Line(line=1, sku="milk", amount_minor=1_005), Line(line=2, sku="bread", amount_minor=345)
    # 1005 - 101 (100.5 rounded up) + 345 = 1249: four times 250, and 249 over.
    assert worth((milk, bread)) == 4
    assert worth((milk, bread, Line(line=9, sku="voucher", amount_minor=5_000))) == 4


def test_a_cards_token_is_that_of_the_product() -> None:
    """Worked with openssl: HMAC-SHA256 under 32 bytes of `k`, of `ean13`, a zero byte and the number."""
    (number,) = card_numbers(1)
    assert number == "2990712340007"
    customers = Customers(b"k" * 32, (), {})
    assert customers.token_of("2990712340007") == TOKEN


TOKEN = "15280c588f1c3b8e3e00bdcc85c814b8"


class _Whose:
    """Everything is in the books, and every card is a member of its own."""

    def is_posted(self, _: object) -> bool:
        return True

    def account(self, who: int | str) -> int | str:
        return who

    def account_of_said(self, said: Said) -> int | str:
        return said.account


PLACE = ("aa", 1, 1, "h")


@pytest.mark.parametrize(
    "said, state",
    [
        ([("given", 1, "")], "given"),
        ([("given", 1, "c1")], "to_confirm"),
        ([("given", 1, "c1"), ("confirmed", 2, "c1")], "given"),
        ([("given", 1, ""), ("withdrawn", 2, "")], "withdrawn"),
        ([("withdrawn", 2, ""), ("given", 1, "")], "withdrawn"),
        ([("withdrawn", 2, ""), ("given", 2, "")], "withdrawn"),
        ([("given", 1, "c1"), ("given", 2, "c2"), ("confirmed", 3, "c1")], "to_confirm"),
    ],
)
def test_the_later_of_giving_and_withdrawing_holds(said: list, state: str) -> None:
    record = Record()
    for what, at_ms, code in said:
        record.said.append(Said(PLACE, what, "t1", "marketing", "email", at_ms, code))
    name = ("marketing", "email")
    assert list(judge_consents(record, _Whose(), [Heard("till-0", "t1", {name: state})])) == []  # type: ignore[arg-type]
    wrong = list(judge_consents(record, _Whose(), [Heard("till-0", "t1", {})]))  # type: ignore[arg-type]
    assert wrong == [f"consent: till-0 says nothing of marketing, customers {state}"]
    assert list(judge_consents(record, _Whose(), [Heard("till-0", "t1", None)]))  # type: ignore[arg-type]


class _HeadOffice:
    """Everything came, and two people joined with one number: the second, by event 7, is account 12."""

    def __init__(self) -> None:
        self.state: dict[Any, str] = {}
        self.disk = sqlite3.connect(":memory:")
        self.disk.executescript("""
            CREATE TABLE account (account_id, status, merged_into);
            CREATE TABLE card (card_token, account_id);
            CREATE TABLE flag (till_id, epoch, seq, cause, figures, state, note);
            INSERT INTO account VALUES (11, 'registered', 0), (12, 'registered', 0);
            INSERT INTO card VALUES ('t1', 11);
            INSERT INTO flag VALUES ('aa', 1, 7, 'card_taken', '{"account_id":11,"joined":12}', 'open', '');
            INSERT INTO flag VALUES ('aa', 1, 8, 'card_taken', '{"account_id":11}', 'open', '');
        """)

    def has(self, _: object) -> bool:
        return True


def test_who_joined_with_a_number_that_was_given_once_more_agreed_for_themselves() -> None:
    record, name = Record(), ("marketing", "email")
    for seq, what, at_ms in ((1, "withdrawn", 1), (7, "given", 2)):
        record.said.append(Said(("aa", 1, seq, "h"), what, "t1", *name, at_ms))
    whose = Whose(record, _HeadOffice(), {"aa"})  # type: ignore[arg-type]
    assert list(judge_consents(record, whose, [Heard("till-0", "t1", {name: "withdrawn"})])) == []
    record.said.append(Said(("aa", 1, 8, "h"), "given", "t1", *name, 3))
    assert list(judge_consents(record, whose, [Heard("till-0", "t1", {name: "given"})])) == []
