"""The programme's card key is changed while two tills sell: one gets the new key late, one is away for all of it."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from central.database.tables import account, card, event, hotlist, lot, number_span
from central.keys.card_keys import KeyRing, make_card_key
from central.members.card_change import (
    CardKeyInUse,
    CardKeyUnknown,
    Change,
    LastCardKey,
    TwoAccounts,
    name_again,
    retire_card_key,
    standing,
)
from central.members.members import account_of, block_card
from central.ports import Settings, reading, writing
from central.verify.books import verify_books
from edge.api.member_bodies import FindBody
from edge.identity import read_identity_file
from edge.sale.asks import ReturnAsk
from edge.sale.taking_back import take_back
from loyalty.baskets import Line
from loyalty.cards.card_keys import CardKeys, one_card_key
from loyalty.cards.cards import Card, CardRules, read_card
from loyalty.facts.member_events import CardNamed
from loyalty.facts.reversals import ReturnLine
from loyalty.programme.programme import programme_from
from loyalty.trouble import Refusal
from sync.wire import Hello
from tallypoint.in_process import StoryClock
from tests.central.tills import ANNA, BEN, CARDS, COALITION, NOW, PROGRAMME
from tests.tallypoint.test_members_and_cards import ANA, CONSENTS, HOUR, PRINTED, Coalition, Counter, read

MEMBERS = {"numbers_at_once": 120}


class Shops(Coalition):
    """Two tills that are heard one by one."""

    @property
    def ring(self) -> KeyRing:
        return KeyRing(self.card_key, self.folder / "programme-card.key")

    def keys(self) -> CardKeys:
        with reading(self.engine) as tx:
            return self.ring.read(tx)

    def change(self) -> Change:
        with reading(self.engine) as tx:
            return standing(tx, self.ring.read(tx))

    def new_key(self) -> str:
        settings = Settings(data_dir=str(self.folder))
        return make_card_key(settings, self.engine, self.randomness, self.clock.wall_ms())

    def retire(self, key_id: str, *, force: bool = False) -> None:
        retire_card_key(self.engine, self.ring, key_id, self.clock.wall_ms(), force=force)

    def hear(self, *counters: Counter) -> None:
        """Head office and these tills tell each other everything; the others are away."""
        for _ in range(2):
            self.clock.move(2 * HOUR)
            for counter in counters:
                self.sync(counter.node)
                counter.line.keep()

    def name(self, number: str, key_no: int) -> str:
        """What a card is called under a key, worked out by the standard library from the key's file."""
        ending = "" if key_no == 1 else f"-{key_no}"
        key = (self.folder / f"programme-card{ending}.key").read_bytes()
        return hmac.new(key, b"ean13\0" + number.encode(), hashlib.sha256).digest()[:16].hex()

    def owners(self, *names: str) -> set[int | None]:
        with reading(self.engine) as tx:
            return {account_of(tx, name) for name in names}

    def points(self, name: str) -> int:
        with reading(self.engine) as tx:
            owner = account_of(tx, name)
            return sum(tx.execute(select(lot.c.points).where(lot.c.account_id == owner)).scalars())

    def named(self) -> int:
        with reading(self.engine) as tx:
            return len(tx.execute(select(event.c.seq).where(event.c.kind == "card_named.v1")).all())


@pytest.fixture
def shops(tmp_path: Path, central_url: str) -> Iterator[Shops]:
    there = Shops(tmp_path, StoryClock(NOW), COALITION, central_url)
    there.publish(programme_from({**PROGRAMME, "members": MEMBERS}))
    there.counters = (Counter(there, "S1", "one"), Counter(there, "S2", "two"))
    there.level()
    yield there
    there.close()


def said_of_cards(counter: Counter) -> list[CardNamed]:
    events = [entry.event for entry in counter.node.journal.entries_after(0)]
    return [one for one in events if isinstance(one, CardNamed)]


def knows(counter: Counter, name: str) -> bool:
    return counter.node.cache.member(name) is not None


def sound(shops: Shops) -> None:
    assert verify_books(shops.engine).violations == ()


def test_cards_go_over_to_a_new_key_while_one_till_has_it_late(shops: Shops) -> None:
    one, two = shops.counters
    one.sell("R-1", 1_000, ANNA)
    two.sell("R-2", 1_000, BEN)
    shops.hear(one, two)
    assert shops.new_key() == "2"
    shops.hear(one)
    assert one.node.till.identity.card_keys.ids == ("1", "2") and two.node.till.identity.card_keys.ids == ("1",)
    newest = shops.change().keys[1]
    assert (newest.key_id, newest.tills_with, newest.tills_without) == ("2", ("one",), ("two",))

    # Nothing but a sale is written, and the names before it; the second sale names nobody again.
    assert one.node.till.identify(ANNA).card_token == shops.name(ANNA, 1)
    assert said_of_cards(one) == []
    one.sell("R-3", 1_000, shops.name(ANNA, 1))  # as a POS sends it that was answered a token
    one.sell("R-4", 1_000, ANNA)
    (named,) = said_of_cards(one)
    assert [(each.key_id, each.token) for each in named.names] == [
        ("1", shops.name(ANNA, 1)), ("2", shops.name(ANNA, 2))
    ]  # fmt: skip
    two.sell("R-5", 1_000, ANNA)  # without the new key
    shops.hear(one)
    shops.hear(two)
    assert two.node.till.identity.card_keys.ids == ("1", "2")
    assert len(shops.owners(shops.name(ANNA, 1), shops.name(ANNA, 2))) == 1
    assert shops.points(shops.name(ANNA, 2)) == 40
    two.sell("R-6", 1_000, ANNA)
    shops.hear(one, two)
    assert said_of_cards(two) == [] and shops.named() == 1

    with pytest.raises(CardKeyInUse) as no:
        shops.retire("1")
    assert no.value.figures == {"tills": 0, "cards": 1, "blocked": 0}
    two.sell("R-7", 1_000, BEN)
    shops.hear(two, one)
    shops.retire("1")
    shops.hear(one, two)
    for counter in (one, two):
        assert counter.node.till.identity.card_keys.ids == ("2",)
        assert not knows(counter, shops.name(ANNA, 1)) and knows(counter, shops.name(ANNA, 2))
        assert counter.node.till.identify(ANNA).card_token == shops.name(ANNA, 2)
        assert counter.node.till.balance(ANNA).view.balance_points == 50
        assert counter.node.till.identity.card_key == shops.card_key  # for codes of certificates
    one.sell("R-8", 1_000, ANNA)
    # A POS that kept the old token for a year still sells to the same member.
    two.sell("R-9", 1_000, shops.name(ANNA, 1))
    shops.hear(one, two)
    assert shops.points(shops.name(ANNA, 2)) == 70 and shops.named() == 2
    sound(shops)


@pytest.mark.parametrize("first", [0, 1], ids=["the till with both keys is heard first", "the one with the old"])
def test_a_card_that_nobody_knew_gets_one_account_whoever_is_heard_first(shops: Shops, first: int) -> None:
    one, two = shops.counters
    shops.new_key()
    shops.hear(one)
    one.sell("R-1", 1_000, PRINTED)
    two.sell("R-2", 1_000, PRINTED)
    for counter in (shops.counters[first], shops.counters[1 - first]):
        shops.hear(counter)
    assert len(shops.owners(shops.name(PRINTED, 1), shops.name(PRINTED, 2))) == 1
    assert shops.points(shops.name(PRINTED, 1)) == 20
    sound(shops)


def test_a_member_who_joins_during_the_change_is_known_to_a_till_without_the_new_key(shops: Shops) -> None:
    one, two = shops.counters
    shops.new_key()
    shops.hear(one)
    made = one.enrol(enrol_id="E-1", person=ANA)
    two.sell("R-1", 1_000, made.card_number)
    shops.hear(two)
    shops.hear(one)
    names = [shops.name(made.card_number, key_no) for key_no in (1, 2)]
    assert made.card_token == names[0] and len(shops.owners(*names)) == 1
    with reading(shops.engine) as tx:
        rows = tx.execute(select(card.c.key_id).where(card.c.card_token.in_(names)).order_by(card.c.key_id)).scalars()
        assert list(rows) == ["1", "2"]
        assert set(tx.execute(select(account.c.status)).scalars()) == {"registered"}
    shops.hear(one, two)
    assert two.node.till.balance(made.card_number).view.balance_points == 10
    found = two.members.find(read(FindBody, {"phone": "00351912345678"})).found
    assert [each.card_token for each in found] == [names[0]]
    shops.retire("1")
    found = two.members.find(read(FindBody, {"phone": "00351912345678"})).found
    assert [each.card_token for each in found] == [names[1]]
    sound(shops)


def test_a_till_that_is_away_for_the_whole_change_brings_an_account_of_its_own_that_people_merge(shops: Shops) -> None:
    from central.corrections.adjusting import Signed
    from central.corrections.moving import merge
    from central.corrections.wishes import MergeWish
    from loyalty.moments import utc_date

    one, two = shops.counters
    shops.new_key()
    shops.hear(one)
    two.sell("R-1", 1_000, PRINTED)  # under the old key, and not heard for now
    with pytest.raises(CardKeyInUse) as no:
        shops.retire("1")
    assert no.value.figures == {"tills": 1, "cards": 0, "blocked": 0}
    shops.retire("1", force=True)
    shops.hear(one)
    one.sell("R-2", 1_000, PRINTED)
    shops.hear(one)
    assert said_of_cards(one)[0].names[0].key_id == "2"
    shops.hear(two)  # its sale is posted all the same, and it learns that the old key is retired
    assert two.node.till.identity.card_keys.ids == ("2",)
    old, new = shops.name(PRINTED, 1), shops.name(PRINTED, 2)
    assert (shops.points(old), shops.points(new)) == (10, 10) and len(shops.owners(old, new)) == 2
    assert shops.change().keys[0].cards_without == 1
    read = read_card(msgspec.convert(CARDS, CardRules), PRINTED)
    assert isinstance(read, Card)
    with writing(shops.engine) as tx, pytest.raises(TwoAccounts):
        name_again(tx, shops.keys(), read, shops.randomness, shops.clock.wall_ms())
    (theirs,), (ours,) = shops.owners(old), shops.owners(new)
    assert theirs and ours
    wish = MergeWish(account_id=theirs, into_account_id=ours, reason="other", note="one card, two names")
    now_ms = shops.clock.wall_ms()
    signed = Signed(correction_id="C-1", asked_by="ana", approved_by="ben", on=utc_date(now_ms), now_ms=now_ms)
    with writing(shops.engine) as tx:
        merge(tx, wish, signed, shops.randomness)
        assert name_again(tx, shops.keys(), read, shops.randomness, now_ms) == ours
    shops.hear(one, two)
    assert shops.points(new) == 20 and two.node.till.balance(PRINTED).view.balance_points == 20
    sound(shops)
    assert shops.change().keys[0].cards_without == 0


def test_a_card_that_was_not_shown_is_unknown_after_a_forced_end_until_its_number_is_entered(shops: Shops) -> None:
    one, two = shops.counters
    one.sell("R-1", 1_000, ANNA)
    shops.hear(one, two)
    shops.new_key()
    shops.hear(one, two)
    shops.retire("1", force=True)
    shops.hear(one, two)
    assert not two.node.till.balance(ANNA).known
    read = read_card(msgspec.convert(CARDS, CardRules), ANNA)
    assert isinstance(read, Card)
    with writing(shops.engine) as tx:
        name_again(tx, shops.keys(), read, shops.randomness, shops.clock.wall_ms())
    shops.hear(one, two)
    assert two.node.till.balance(ANNA).view.balance_points == 10
    sound(shops)


def test_goods_of_a_receipt_of_before_come_back_to_the_account_that_bought_them(shops: Shops) -> None:
    one, two = shops.counters
    shops.new_key()
    shops.hear(one, two)
    one.sell("R-1", 1_000, PRINTED)  # nobody's yet, so the receipt names the card and no account
    shops.hear(one, two)
    shops.retire("1")
    shops.hear(one, two)
    returned = ReturnLine(line=1, quantity_milli=400, amount_minor=400)
    take_back(one.node.till, ReturnAsk(return_id="B-1", of="R-1", lines=(returned,), sold_at_ms=NOW + HOUR))
    goods = Line(line=1, sku="bread", amount_minor=100)
    ask = ReturnAsk(
        return_id="B-2", lines=(ReturnLine(line=1, quantity_milli=1_000, amount_minor=100),), goods=(goods,),
        currency="EUR", card=PRINTED, sold_at_ms=NOW + HOUR,
    )  # fmt: skip
    take_back(two.node.till, ask)  # without the receipt, under the name it has now
    shops.hear(one, two)
    assert shops.points(shops.name(PRINTED, 2)) == 10 - 4 - 1
    with reading(shops.engine) as tx:
        posted = select(event.c.account_id).where(event.c.kind.in_(("receipt.v1", "return.v1"))).distinct()
        assert len(tx.execute(posted).all()) == 1
    sound(shops)


def test_what_was_asked_of_members_and_cards_before_a_key_was_retired_is_answered_again(shops: Shops) -> None:
    one, two = shops.counters
    shops.publish(programme_from({**PROGRAMME, "members": {**MEMBERS, "consents": CONSENTS}}))
    shops.hear(one, two)
    one.sell("R-1", 500, None)
    asked: list[tuple[Any, dict[str, Any]]] = [
        (one.enrol, {"enrol_id": "E-1", "card": PRINTED}),
        (one.card, {"card_id": "C-1", "what": "issue", "member_card": PRINTED, "card": BEN}),
        (one.claim, {"claim_id": "L-1", "card": PRINTED, "receipt_id": "R-1"}),
        (one.consent, {"consent_id": "K-1", "card": PRINTED, "purpose": "terms", "version": "1", "given": True}),
        (one.card, {"card_id": "C-2", "what": "block", "card": BEN, "reason": "stolen"}),
    ]
    first = [ask(**body) for ask, body in asked]
    shops.new_key()
    shops.hear(one, two)
    shops.retire("1", force=True)
    shops.hear(one, two)
    assert one.node.till.identity.card_keys.ids == ("2",)
    for before, (ask, body) in zip(first, asked, strict=True):
        again = ask(**body)
        assert not before.replayed and again.replayed
        assert msgspec.structs.replace(again, replayed=False) == before
    for ask, body in asked:
        with pytest.raises(Refusal) as no:
            ask(**{**body, "card": ANNA})
        assert no.value.code == "receipt.id_reused"
    sound(shops)


def test_a_blocked_card_stays_blocked_under_its_new_name(shops: Shops) -> None:
    one, two = shops.counters
    one.sell("R-1", 1_000, ANNA)
    shops.hear(one, two)
    with writing(shops.engine) as tx:
        block_card(tx, shops.name(ANNA, 1), "stolen", shops.clock.wall_ms())
        block_card(tx, shops.name(PRINTED, 1), "stolen", shops.clock.wall_ms())  # nobody's
    shops.new_key()
    shops.hear(one, two)
    assert shops.change().blocked_unknown == 1
    for number in (ANNA, PRINTED):
        with pytest.raises(Refusal) as no:
            one.node.till.identify(number)
        assert no.value.code == "card.blocked"
    one.sell("R-2", 1_000, BEN)  # what is written next brings the names of the blocked cards along
    assert len(said_of_cards(one)) == 3
    shops.hear(one, two)
    with reading(shops.engine) as tx:
        listed = set(tx.execute(select(hotlist.c.card_token).where(hotlist.c.lifted == 0)).scalars())
    assert listed == {shops.name(number, key_no) for number in (ANNA, PRINTED) for key_no in (1, 2)}
    shops.retire("1")
    shops.hear(one, two)
    for counter in (one, two):
        for number in (ANNA, PRINTED):
            with pytest.raises(Refusal) as no:
                counter.node.till.identify(number)
            assert no.value.code == "card.blocked"
    sound(shops)


def test_a_till_that_dies_between_delivery_and_confirmation_confirms_after_its_next_start(shops: Shops) -> None:
    one, _ = shops.counters
    shops.new_key()
    shops.clock.move(2 * HOUR)

    def hello() -> Any:
        while True:
            asked = one.node.uplink.ask()
            assert not isinstance(asked, int)
            if asked.kind == "hello":
                return asked
            one.node.uplink.give(asked, shops.exchange(asked.path, asked.body))

    lost = hello()
    shops.exchange(lost.path, lost.body)
    one.node.uplink.give(lost, None)
    assert one.node.till.identity.card_keys.ids == ("1",)  # the answer was lost
    shops.clock.move(HOUR // 10)
    brought = hello()
    one.node.uplink.give(brought, shops.exchange(brought.path, brought.body))
    kept = read_identity_file(shops.folder / "one")
    assert kept is not None and kept.card_keys == shops.keys() and kept.card_keys.ids == ("1", "2")
    assert (shops.folder / "one" / "identity.json").stat().st_mode & 0o777 == 0o600
    assert "one" in shops.change().keys[1].tills_without  # it has not said so
    one.node.journal.close()
    one.node.cache.close()
    again = shops.add_till("S1", "one")
    shops.sync(again)
    assert shops.change().keys[1].tills_with == ("one",)


def test_the_keys_travel_to_the_till_that_asked_and_nobody_reads_them_on_the_way(shops: Shops) -> None:
    _, two = shops.counters
    shops.new_key()
    carried: list[bytes] = []
    carry = shops.exchange

    def overheard(url: str, body: bytes) -> Any:
        said = carry(url, body)
        carried.extend((body, said.body))
        return said

    shops.exchange = overheard  # type: ignore[method-assign]
    shops.hear(two)
    assert two.node.till.identity.card_keys.ids == ("1", "2")
    for key in (one.key for one in shops.keys().keys):
        assert not any(form in said for said in carried for form in (key.encode(), bytes.fromhex(key)))


def test_a_till_that_enrols_during_the_change_gets_all_keys_at_once(shops: Shops) -> None:
    shops.new_key()
    third = shops.add_till("S1", "three")
    assert third.till.identity.card_keys == shops.keys()
    assert third.till.identity.card_key == shops.card_key  # codes of certificates go on under the first


def test_a_till_that_has_never_heard_of_several_keys_goes_on_under_the_first(shops: Shops) -> None:
    one, two = shops.counters
    shops.new_key()
    two.node.uplink._session._own_keys = None  # as a till of the version before asks
    shops.hear(one, two)
    assert two.node.till.identity.card_keys.ids == ("1",)
    one.sell("R-1", 1_000, ANNA)
    two.sell("R-2", 1_000, ANNA)
    shops.hear(one, two)
    assert shops.points(shops.name(ANNA, 2)) == 20
    assert shops.change().keys[1].tills_without == ("two",)
    names = Hello.__struct_fields__[-len(Hello.__struct_defaults__) :]
    assert dict(zip(names, Hello.__struct_defaults__, strict=True))["card_keys"] == ()


def test_a_range_of_numbers_keeps_the_key_that_scattered_it_and_a_new_one_waits_for_the_tills(shops: Shops) -> None:
    one, two = shops.counters
    shops.new_key()
    shops.hear(one)
    before = one.enrol(enrol_id="E-1")
    cards = [*CARDS["ranges"], {"kind": "ean13", "prefix": "291", "length": 13}]
    document = {**PROGRAMME, "cards": {**CARDS, "ranges": cards}, "members": {**MEMBERS, "numbers_of": "291"}}
    shops.publish(programme_from(document))
    for counter in (one, two):
        for n in range(70):  # so that fewer than half are left
            counter.enrol(enrol_id=f"E-{counter.node.till.settings.label}-{n}")
        counter.node.uplink.run_once()
        counter.line.fetch_numbers()
    with reading(shops.engine) as tx:
        spans = [(row.prefix, row.card_key_id) for row in tx.execute(
            select(number_span).order_by(number_span.c.prefix, number_span.c.first))]  # fmt: skip
    assert spans == [("290", "1"), ("290", "1"), ("291", "2")]  # the second till does not hold key 2 yet
    assert one.enrol(enrol_id="E-1").card_number == before.card_number
    shops.hear(one, two)
    two.line.fetch_numbers()
    with reading(shops.engine) as tx:
        assert len(tx.execute(select(number_span.c.first).where(number_span.c.prefix == "291")).all()) == 2
    shops.retire("1", force=True)
    shops.hear(one, two)
    # What was given under the retired key is answered the same, and its numbers are still given out.
    assert one.enrol(enrol_id="E-1").card_number == before.card_number
    made = one.enrol(enrol_id="E-2")
    assert made.card_token == shops.name(made.card_number, 2)


def test_what_cannot_be_retired_is_not(shops: Shops) -> None:
    with pytest.raises(LastCardKey):
        shops.retire("1")
    shops.new_key()
    with pytest.raises(LastCardKey):
        shops.retire("2", force=True)
    with pytest.raises(CardKeyUnknown):
        shops.retire("3", force=True)
    assert shops.keys().ids == ("1", "2")


def test_a_change_that_was_cut_short_goes_on_with_the_same_file(shops: Shops) -> None:
    key = b"k" * 32
    (shops.folder / "programme-card-2.key").write_bytes(key)
    assert shops.new_key() == "2" and shops.new_key() == "3"
    assert [one.secret for one in shops.keys().keys[:2]] == [shops.card_key, key]
    for name in ("programme-card-3.key", "programme-card.key"):
        assert (shops.folder / name).stat().st_mode & 0o777 == 0o600


def test_verification_finds_a_name_that_leads_elsewhere_or_stands_under_another_key(shops: Shops) -> None:
    one, _ = shops.counters
    shops.new_key()
    shops.hear(one)
    one.sell("R-1", 1_000, ANNA)
    one.sell("R-2", 1_000, BEN)
    shops.hear(one)
    sound(shops)
    (ben,) = shops.owners(shops.name(BEN, 1))
    with writing(shops.engine) as tx:
        moved = update(card).where(card.c.card_token == shops.name(ANNA, 2))
        tx.execute(moved.values(account_id=ben, key_id="1", same_as=""))
    found = {one.code for one in verify_books(shops.engine).violations}
    assert {"card.names", "card.name_keys", "card.tied"} <= found


def test_one_key_alone_says_nothing_and_costs_nothing(shops: Shops) -> None:
    one, two = shops.counters
    one.sell("R-1", 1_000, ANNA)
    shops.hear(one, two)
    assert said_of_cards(one) == [] and shops.keys() == one_card_key(shops.card_key)
