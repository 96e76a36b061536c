"""Members and cards from the counter to head office and back: with the line and without, again, after a crash."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.corrections.erasing import erase_member
from central.database.tables import account, card, enrolment, flag, found_by, lot, number_span, person
from central.intake.claims import settle_claims
from central.intake.consents import consents_of
from central.members.card_spans import grant_numbers
from central.members.members import account_of, create_account, issue_card
from central.ports import reading, writing
from central.verify.books import verify_books
from edge.api import contract
from edge.api.member_bodies import (
    CardBody,
    ClaimBody,
    ConfirmBody,
    ConsentAskBody,
    EnrolBody,
    FindBody,
)
from edge.counter.desk import Desk
from edge.doctor import examine
from edge.journal.journal import Journal, open_epoch
from edge.line.counter_line import CounterLine
from edge.line.enrol import JOURNAL_FILE
from edge.members.desk import MembersDesk
from edge.sale.asks import CommitAsk, SaleAsk
from loyalty.baskets import Basket, Line
from loyalty.cards.card_keys import one_card_key
from loyalty.cards.cards import Card, CardRules, card_token, gs1_digit, read_card
from loyalty.programme.programme import programme_from
from loyalty.trouble import Refusal
from sync.desk import Person
from sync.transport import LineDown
from sync.wire import Answer
from tallypoint.in_process import InProcess, StoryClock
from tests.central.tills import ANNA, BEN, CARDS, COALITION, NOW, PROGRAMME

HOUR = 3_600_000
DAY = 24 * HOUR
PRINTED = "2900000000032"  # check digit worked out by hand
CONSENTS = [
    {"purpose": "marketing", "channel": "email", "version": "2026-03", "text": {"en": "Offers by e-mail, please."}},
    {"purpose": "terms", "version": "1", "text": {"en": "I accept the terms.", "pl": "Akceptuję regulamin."},
     "double_opt_in": False},
]  # fmt: skip
ANA = {"name": "Ana Silva", "phone": "+351 912 345 678", "email": "Ana@example.org", "birthday": "04-17"}


class Coalition(InProcess):
    """Two stores with a till each, whose line may be down."""

    down = False
    counters: "tuple[Counter, ...]" = ()

    def exchange(self, url: str, body: bytes) -> Answer:
        if self.down:
            raise LineDown("The line is down.")
        return super().exchange(url, body)

    def level(self) -> None:
        """Everybody hears everything."""
        for _ in range(2):
            self.clock.move(2 * HOUR)
            for counter in self.counters:
                self.sync(counter.node)
                counter.line.keep()
        settle_claims(self.engine, self.clock.wall_ms(), self.randomness, 7)


class Counter:
    """A till with its counter's requests."""

    def __init__(self, world: Coalition, store_id: str, label: str) -> None:
        self.world, self.node = world, world.add_till(store_id, label)
        self.desk = Desk(
            till=self.node.till, identity=self.node.till.identity, settings=self.node.till.settings,
            clock=world.clock, is_offline=self.node.uplink.is_offline,
        )  # fmt: skip
        self.line = CounterLine(
            journal=self.node.journal, cache=self.node.cache, identity=self.node.till.identity, clock=world.clock,
            ask=self.node.uplink.ask_desk, random_bytes=os.urandom,
        )  # fmt: skip
        self.members = MembersDesk(self.desk, self.line)

    def enrol(self, **body: Any) -> Any:
        return self.members.enrol(read(EnrolBody, body))

    def card(self, **body: Any) -> Any:
        return self.members.card(read(CardBody, body))

    def consent(self, **body: Any) -> Any:
        return self.members.consent(read(ConsentAskBody, {"asked_on": "kiosk", **body}))

    def claim(self, **body: Any) -> Any:
        return self.members.claim(read(ClaimBody, body))

    def sell(self, receipt_id: str, amount: int, card: str | None) -> Any:
        basket = Basket(receipt_id="quote", currency="EUR", lines=(Line(line=1, sku="bread", amount_minor=amount),))
        ask = SaleAsk(basket=basket, card=card, sold_at_ms=self.world.clock.wall_ms())
        return self.node.till.commit(CommitAsk(sale=ask, receipt_id=receipt_id))


def read(kind: Any, body: dict[str, Any]) -> Any:
    return contract.read_body(msgspec.json.encode(body), kind)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Coalition]:
    there = Coalition(tmp_path, StoryClock(NOW), COALITION)
    there.publish(programme_from({**PROGRAMME, "members": {"consents": CONSENTS, "numbers_at_once": 120}}))
    there.counters = (Counter(there, "S1", "one"), Counter(there, "S2", "two"))
    there.level()
    yield there
    there.close()


def points_of(world: Coalition, token: str) -> int:
    with reading(world.engine) as tx:
        owner = account_of(tx, token)
        return sum(tx.execute(select(lot.c.points).where(lot.c.account_id == owner)).scalars())


def flags(world: Coalition) -> list[str]:
    with reading(world.engine) as tx:
        return list(tx.execute(select(flag.c.cause).order_by(flag.c.cause)).scalars())


def refused(ask: Any, **body: Any) -> str:
    with pytest.raises(Refusal) as no:
        ask(**body)
    assert no.value.say.endswith(".")
    return no.value.code


# A new member


def test_a_member_joins_offline_and_the_purchase_counts_at_once(world: Coalition):
    one, two = world.counters
    world.down = True
    made = one.enrol(enrol_id="E-1", person=ANA, asked_on="customer_display")
    assert (made.offline, len(made.card_number), made.last4) == (False, 13, made.card_number[-4:])
    assert read_card(msgspec.convert(CARDS, CardRules), made.card_number).number == made.card_number
    one.sell("R-1", 1_000, made.card_number)
    world.down = False
    world.level()
    assert points_of(world, made.card_token) == 10
    assert two.node.till.balance(made.card_number).view.balance_points == 10
    assert flags(world) == []
    assert verify_books(world.engine).violations == ()


def test_the_same_ask_gets_the_same_number_and_another_body_none(world: Coalition):
    one, _ = world.counters
    first = one.enrol(enrol_id="E-1", person=ANA)
    again = one.enrol(enrol_id="E-1", person=ANA)
    assert again == msgspec.structs.replace(first, replayed=True)
    assert refused(one.enrol, enrol_id="E-1", person={**ANA, "name": "Anna Silva"}) == "receipt.id_reused"
    assert refused(one.enrol, enrol_id="E-1") == "receipt.id_reused"
    assert one.enrol(enrol_id="E-2", person=ANA).card_number != first.card_number


def test_a_crash_before_the_answer_gives_the_same_number_again(world: Coalition, tmp_path: Path):
    one, _ = world.counters
    made = one.enrol(enrol_id="E-1")
    reopened = Journal.open(tmp_path / "one" / JOURNAL_FILE, one.node.till.identity, world.clock)
    one.node.till.journal = reopened
    assert one.enrol(enrol_id="E-1").card_number == made.card_number
    assert one.enrol(enrol_id="E-2").card_number != made.card_number
    reopened.close()


def test_no_two_tills_ever_give_the_same_number(world: Coalition):
    one, two = world.counters
    numbers = [counter.enrol(enrol_id=f"E-{n}").card_number for n in range(60) for counter in (one, two)]
    assert len(set(numbers)) == 120
    with reading(world.engine) as tx:
        spans = tx.execute(select(number_span.c.first, number_span.c.last).order_by(number_span.c.first)).all()
    assert [(row.first, row.last) for row in spans][:2] == [(0, 119), (120, 239)]


def test_numbers_are_scattered_so_that_a_neighbour_cannot_be_guessed(world: Coalition):
    one, _ = world.counters
    numbers = sorted(int(one.enrol(enrol_id=f"E-{n}").card_number[3:-1]) for n in range(50))
    assert min(b - a for a, b in pairwise(numbers)) > 100
    assert numbers[-1] - numbers[0] > 500_000_000


def test_a_till_without_numbers_says_so_and_still_takes_a_printed_card(world: Coalition):
    one, _ = world.counters
    world.down = True
    for n in range(120):
        one.enrol(enrol_id=f"E-{n}")
    assert refused(one.enrol, enrol_id="E-last") == "members.no_numbers"
    assert one.members.offers("en").numbers_left == 0
    assert one.enrol(enrol_id="E-printed", card=PRINTED).last4 == "0032"
    world.down = False
    one.line.keep()
    assert one.enrol(enrol_id="E-last").card_number


def test_a_copy_of_a_till_draws_other_numbers_and_a_new_epoch_none_of_the_old(world: Coalition, tmp_path: Path):
    one, _ = world.counters
    (tmp_path / "copy").mkdir()
    one.node.journal.checkpoint()
    (tmp_path / "copy" / JOURNAL_FILE).write_bytes((tmp_path / "one" / JOURNAL_FILE).read_bytes())
    copy = Journal.open(tmp_path / "copy" / JOURNAL_FILE, one.node.till.identity, world.clock)
    here = [one.enrol(enrol_id=f"E-{n}").card_token for n in range(5)]
    one.node.till.journal = copy
    there = [one.enrol(enrol_id=f"X-{n}").card_token for n in range(5)]
    copy.close()
    # Both draw from the same few hundred places, so one number may come twice by chance; not most of them.
    assert len(set(here) & set(there)) < 3
    later = msgspec.structs.replace(one.node.till.identity, provisional=2**31 + 5)
    fresh = Journal.open(tmp_path / "copy" / JOURNAL_FILE, later, world.clock)
    open_epoch(fresh, "provisional")
    assert fresh.members.numbers_left() == 0
    fresh.close()


def test_a_number_that_came_twice_after_all_is_for_a_person_to_look_at(world: Coalition):
    one, two = world.counters
    made = one.enrol(enrol_id="E-1")
    world.level()
    event = one.node.journal.find("E-1").event
    with two.node.journal.writing():
        two.node.journal.append(msgspec.structs.replace(event, receipt_id="E-9"))
    world.level()
    assert flags(world) == ["card_taken", "number_outside_span"]
    assert points_of(world, made.card_token) == 0


def test_spans_are_not_granted_again_after_a_restore(world: Coalition):
    from central.backups.restoring import note_restore

    with writing(world.engine) as tx:
        note_restore(tx, world.clock.wall_ms())
        till_id, epoch = world.counters[0].node.till.identity.till_id, world.counters[0].node.till.identity.epoch
        grant_numbers(tx, till_id, epoch, 0, 1, card_keys=one_card_key(world.card_key), now_ms=world.clock.wall_ms())
        firsts = tx.execute(select(number_span.c.first).order_by(number_span.c.first.desc())).scalars().all()
    # A twentieth of the ten million places that EAN-13 with prefix 290 has room for.
    assert firsts[0] == 240 + 500_000


def test_a_card_of_somebody_is_not_given_again(world: Coalition):
    one, _ = world.counters
    join(world, ANNA)
    world.level()
    assert refused(one.enrol, enrol_id="E-1", card=ANNA) == "members.card_is_taken"
    one.enrol(enrol_id="E-2", card=PRINTED)
    assert refused(one.enrol, enrol_id="E-3", card=PRINTED) == "members.card_is_taken"


# Who they are


def test_who_they_are_travels_sealed_and_is_kept_under_a_key_of_its_own(world: Coalition):
    one, _ = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    assert len(one.node.journal.members.sealed_waiting(9)) == 1
    world.level()
    assert one.node.journal.members.sealed_waiting(9) == []
    with reading(world.engine) as tx:
        owner = account_of(tx, made.card_token)
        assert world.people.read(tx, owner) == Person(**ANA)
        kept = tx.execute(select(person)).one()
        assert b"Silva" not in bytes(kept.data) and len(tx.execute(select(found_by)).all()) == 2
        mmdd = tx.exec_driver_sql("SELECT birthday_mmdd FROM member").scalar()
    assert mmdd == "04-17"


def test_a_head_office_that_came_back_from_a_backup_is_brought_again_who_joined_since(world: Coalition):
    from central.backups.restoring import note_restore

    one, _ = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    world.level()
    with writing(world.engine) as tx:
        owner = account_of(tx, made.card_token)
        tx.execute(person.delete())
        note_restore(tx, world.clock.wall_ms())
    world.level()
    world.level()
    with reading(world.engine) as tx:
        assert world.people.read(tx, owner) == Person(**ANA)
    world.clock.move(20 * DAY)
    one.node.journal.prune()
    with one.node.journal.writing():
        one.node.journal.members.sealed_again()
    assert one.node.journal.members.sealed_waiting(9) == []


def waiting(counter: Counter) -> list[str]:
    return [about for about, _ in counter.node.journal.members.sealed_waiting(9)]


def ailments(counter: Counter, world: Coalition) -> list[str]:
    counter.node.journal.checkpoint()
    said = examine(counter.node.till.settings, world.clock.wall_ms(), None).ailments
    return [one.say for one in said if one.code == "people.unheard"]


def keep(counter: Counter, world: Coalition, *days: float) -> list[list[str]]:
    """Its chore so many days later each time, and who waits then."""
    seen = []
    for later in days:
        world.clock.move(int(later * DAY))
        counter.line.keep()
        seen.append(waiting(counter))
    return seen


def test_who_somebody_is_ends_where_head_office_never_gets_the_event(world: Coalition):
    one, _ = world.counters
    one.enrol(enrol_id="E-1", person=ANA)
    world.sync(one.node)
    with writing(world.engine) as tx:
        tx.execute(enrolment.delete())  # as where the event waits in quarantine
    assert keep(one, world, 0, 1, 12.99) == [["E-1"], ["E-1"], ["E-1"]]
    assert ailments(one, world) == [
        "Who 1 new members are waits here for events that head office does not have in its books, for 335 hours."
    ]  # 13.99 days
    assert keep(one, world, 0.02) == [[]]
    assert ailments(one, world) == []


def test_a_till_whose_clock_stood_years_behind_forgets_nobody_once_it_is_set(world: Coalition):
    one, _ = world.counters
    one.enrol(enrol_id="E-1", person=ANA)
    world.sync(one.node)
    with writing(world.engine) as tx:
        tx.execute(enrolment.delete())  # as where the event waits in quarantine
    one.line._clock = StoryClock(946_684_800_000)  # the battery is flat: it starts in the year 2000
    assert keep(one, world, 0) == [["E-1"]]
    one.line._clock = world.clock
    assert keep(one, world, 0, 13.99) == [["E-1"], ["E-1"]]
    assert keep(one, world, 0.02) == [[]]


def test_it_is_brought_where_people_post_the_event_in_time(world: Coalition):
    one, _ = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    world.sync(one.node)
    with writing(world.engine) as tx:
        rows = [dict(row) for row in tx.execute(select(enrolment)).mappings()]
        tx.execute(enrolment.delete())
    assert keep(one, world, 0, 13) == [["E-1"], ["E-1"]]
    with writing(world.engine) as tx:
        tx.execute(enrolment.insert(), rows)
    assert keep(one, world, 0) == [[]]
    with reading(world.engine) as tx:
        assert world.people.read(tx, account_of(tx, made.card_token)) == Person(**ANA)


def test_it_stays_as_long_as_the_event_can_still_be_sent_and_after_a_restore_its_time_begins_anew(world: Coalition):
    one, _ = world.counters
    one.enrol(enrol_id="E-1", person=ANA)
    # The counter is answered, the events are not taken yet.
    assert keep(one, world, 0, 20) == [["E-1"], ["E-1"]] and ailments(one, world) == []
    journal = one.node.journal
    with journal.writing():
        journal._database.writer.execute("UPDATE stream SET acked_seq = 9")
    assert keep(one, world, 0, 10) == [["E-1"], ["E-1"]]
    with journal.writing():
        journal.members.sealed_again()
    assert keep(one, world, 0, 10) == [["E-1"], ["E-1"]]
    with journal.writing():
        journal._database.writer.execute("INSERT INTO loose (epoch, first_seq, batch) VALUES (7, 3, x'00')")
    assert keep(one, world, 10) == [["E-1"]]  # it may be in there
    with journal.writing():
        journal._database.writer.execute("DELETE FROM loose")
    assert keep(one, world, 0) == [[]]


def test_it_stays_while_head_office_cannot_take_it_for_another_reason(world: Coalition):
    one, _ = world.counters
    one.enrol(enrol_id="E-1", person=ANA)
    world.sync(one.node)
    world.down = True
    assert keep(one, world, 0, 20) == [["E-1"], ["E-1"]]
    world.down = False
    assert keep(one, world, 0) == [[]]
    with reading(world.engine) as tx:
        assert len(tx.execute(select(person)).all()) == 1


def test_a_member_without_a_card_is_found_by_telephone(world: Coalition):
    one, two = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    world.level()
    for asked in ({"phone": "00351912345678"}, {"email": "ana@EXAMPLE.org"}):
        said = two.members.find(read(FindBody, asked))
        assert [(each.card_token, each.last4) for each in said.found] == [(made.card_token, made.last4)]
    # Anybody may know a telephone number: such a card collects, and spends once it is shown.
    shown, rules = two.node.till.shown, two.node.till.current().programme.cards
    assert shown.most_points(rules, made.card_token) == 0
    assert said.say.startswith("Shown like this a card collects points, but spends none.")
    two.node.till.identify(made.card_number)
    assert shown.most_points(rules, made.card_token) is None
    assert two.members.find(read(FindBody, {"phone": ANA["phone"]})).say == ""
    assert two.members.find(read(FindBody, {"phone": "1"})).found == ()
    world.down = True
    assert refused(lambda: two.members.find(read(FindBody, {"phone": "1"}))) == "members.offline"


def test_people_cannot_be_tried_out_by_telephone(world: Coalition):
    one, _ = world.counters
    for n in range(20):
        one.members.find(read(FindBody, {"phone": f"91234567{n}"}))
    assert refused(lambda: one.members.find(read(FindBody, {"phone": "1"}))) == "members.too_many_lookups"
    world.clock.move(601_000)
    assert one.members.find(read(FindBody, {"phone": "1"})).found == ()


def test_a_till_that_has_not_heard_head_office_takes_no_names(tmp_path: Path):
    there = Coalition(tmp_path, StoryClock(NOW), COALITION)
    there.publish(programme_from(PROGRAMME))
    there.counters = (Counter(there, "S1", "one"),)
    journal = there.counters[0].node.journal
    there.sync(there.counters[0].node)
    with journal.writing():  # the hello brought the key; a head office that keeps nobody tells of none
        journal._database.writer.execute("DELETE FROM told")
    assert refused(there.counters[0].enrol, enrol_id="E-1", card=PRINTED, person=ANA) == "members.not_sealable"
    assert there.counters[0].enrol(enrol_id="E-1", card=PRINTED).last4 == "0032"
    there.close()


def test_sealed_data_of_another_event_is_turned_away(world: Coalition):
    one, two = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    other = two.line.seal(Person(name="Somebody Else"), "E-1")
    with one.node.journal.writing():
        one.node.journal._database.writer.execute("DELETE FROM sealed")
        one.node.journal.members.keep_sealed("E-1", other)
    world.level()
    with reading(world.engine) as tx:
        assert world.people.read(tx, account_of(tx, made.card_token)) is None


def test_erasing_a_member_leaves_nothing_that_leads_to_them(world: Coalition):
    one, two = world.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    one.sell("R-1", 1_000, made.card_number)
    world.level()
    with writing(world.engine) as tx:
        owner = account_of(tx, made.card_token)
        gone = erase_member(
            tx, owner, by="ops", now_ms=world.clock.wall_ms(), randomness=world.randomness
        )  # fmt: skip
    assert (gone.cards, gone.points) == (1, 10)
    with reading(world.engine) as tx:
        assert tx.execute(select(person)).all() == []
        assert tx.execute(select(found_by)).all() == []
        assert tx.execute(select(card).where(card.c.account_id == owner)).all() == []
        assert tx.execute(select(account.c.status).where(account.c.account_id == owner)).scalar() == "closed"
        (done,) = tx.exec_driver_sql("SELECT action, about FROM audit WHERE action = 'member.erase'").all()
    assert tuple(done) == ("member.erase", str(owner))
    world.level()
    assert two.node.cache.member(made.card_token) is None
    assert verify_books(world.engine).violations == ()
    assert two.members.find(read(FindBody, {"phone": ANA["phone"]})).found == ()


# Cards


def join(world: Coalition, number: str) -> str:
    with writing(world.engine) as tx:
        owner = create_account(tx, world.randomness, world.clock.wall_ms())
        return issue_card(
            tx, owner, number, rules=msgspec.convert(CARDS, CardRules), keys=one_card_key(world.card_key),
            randomness=world.randomness, now_ms=world.clock.wall_ms(),
        )  # fmt: skip


def test_a_lost_card_is_replaced_offline_and_blocked_here_at_once(world: Coalition):
    one, two = world.counters
    old = join(world, ANNA)
    world.level()
    one.sell("R-1", 500, ANNA)
    world.down = True
    done = one.card(card_id="C-1", what="replace", old_card=old, reason="lost")
    assert done.blocked_token == old
    assert refused(lambda: one.node.till.balance(ANNA)) == "card.blocked"
    one.sell("R-2", 300, done.card_number)
    assert two.node.till.balance(ANNA).known
    world.down = False
    world.level()
    assert points_of(world, done.card_token) == 8
    assert two.node.till.balance(done.card_number).view.balance_points == 8
    assert refused(lambda: two.node.till.balance(ANNA)) == "card.blocked"
    assert one.card(card_id="C-1", what="replace", old_card=old, reason="lost").replayed
    assert refused(one.card, card_id="C-1", what="replace", old_card=old, reason="stolen") == "receipt.id_reused"
    assert (flags(world), verify_books(world.engine).violations) == ([], ())


def test_once_head_office_has_the_block_its_word_counts_here_too(world: Coalition):
    from central.members.members import lift_block

    one, _ = world.counters
    token = join(world, ANNA)
    world.level()
    one.card(card_id="C-1", what="block", card=ANNA, reason="stolen")
    world.level()
    assert refused(lambda: one.node.till.balance(ANNA)) == "card.blocked"
    with writing(world.engine) as tx:
        lift_block(tx, token, world.clock.wall_ms())
    world.level()
    assert one.node.till.balance(ANNA).known


def test_a_block_stays_here_through_a_restart_until_head_office_has_heard(world: Coalition, tmp_path: Path):
    one, _ = world.counters
    join(world, ANNA)
    world.level()
    world.down = True
    one.card(card_id="C-1", what="block", card=ANNA, reason="stolen")
    one.line.keep()
    one.node.till.journal = Journal.open(tmp_path / "one" / JOURNAL_FILE, one.node.till.identity, world.clock)
    assert refused(lambda: one.node.till.balance(ANNA)) == "card.blocked"
    one.node.till.journal.close()


def test_a_family_gets_a_second_card(world: Coalition):
    one, two = world.counters
    token = join(world, ANNA)
    world.level()
    second = one.card(card_id="C-1", what="issue", member_card=ANNA, card=PRINTED)
    two.sell("R-1", 900, PRINTED)
    world.level()
    with reading(world.engine) as tx:
        assert account_of(tx, second.card_token) == account_of(tx, token)
    assert refused(one.card, card_id="C-2", what="replace", old_card=ANNA, card=ANNA) == "members.same_card"
    assert refused(one.card, card_id="C-3", what="issue", card=BEN) == "members.card_wanted"


# Consent


def test_consent_is_the_customers_and_counts_once_confirmed(world: Coalition):
    one, two = world.counters
    made = one.enrol(
        enrol_id="E-1", asked_on="kiosk",
        consents=[{"purpose": "marketing", "channel": "email", "version": "2026-03", "given": True},
                  {"purpose": "terms", "version": "1", "given": True}],
    )  # fmt: skip
    assert [(each.purpose, each.state) for each in made.consents] == [("marketing", "to_confirm"), ("terms", "given")]
    code = made.consents[0].confirm_code
    world.down = True
    said = two.members.confirm(read(ConfirmBody, {"confirm_id": "F-1", "code": code.upper(), "asked_on": "kiosk"}))
    assert said.consent.state == "confirmed"
    world.down = False
    world.level()
    told = one.members.consents(made.card_token)
    assert (told.complete, [(each.purpose, each.state) for each in told.consents]) == (
        True, [("marketing", "given"), ("terms", "given")],
    )  # fmt: skip
    one.consent(consent_id="K-1", card=made.card_token, purpose="marketing", channel="email", given=False,
                asked_on="cashier")  # fmt: skip
    assert [each.state for each in one.members.consents(made.card_token).consents] == ["withdrawn", "given"]
    world.level()
    with reading(world.engine) as tx:
        states = [each.state for each in consents_of(tx, account_of(tx, made.card_token))]
    assert states == ["withdrawn", "given"]
    assert verify_books(world.engine).violations == ()


def test_what_was_withdrawn_stays_so_though_its_code_is_entered_afterwards(world: Coalition):
    one, two = world.counters
    made = one.consent(
        consent_id="K-1", card=PRINTED, purpose="marketing", channel="email", version="2026-03", given=True
    )
    world.clock.move(1_000)
    one.consent(consent_id="K-2", card=PRINTED, purpose="marketing", channel="email", given=False)
    world.clock.move(1_000)
    code = {"confirm_id": "F-1", "code": made.consent.confirm_code, "asked_on": "kiosk"}
    one.members.confirm(read(ConfirmBody, code))
    for counter in (one, two):
        assert {each.state for each in counter.members.consents(PRINTED).consents} <= {"withdrawn"}
    world.level()
    for counter in (one, two):
        assert [each.state for each in counter.members.consents(PRINTED).consents] == ["withdrawn"]


def test_what_may_not_be_agreed_to_is_refused(world: Coalition):
    one, _ = world.counters
    ask = {"consent_id": "K-1", "card": PRINTED, "purpose": "marketing", "channel": "email", "version": "2026-03",
           "given": True}  # fmt: skip
    assert refused(one.consent, **{**ask, "asked_on": "cashier"}) == "consent.not_by_cashier"
    assert refused(one.consent, **{**ask, "channel": "sms"}) == "consent.unknown"
    assert refused(one.consent, **{**ask, "version": "2025"}) == "consent.other_text"
    wrong = {"confirm_id": "F-1", "code": "aaaa bbbb cccc dddd", "asked_on": "kiosk"}
    assert refused(lambda: one.members.confirm(read(ConfirmBody, wrong))) == "consent.wrong_code"
    assert one.consent(**ask).consent.state == "to_confirm"
    assert one.consent(**ask).replayed


def test_without_the_line_only_this_tills_own_word_is_known(world: Coalition):
    one, _ = world.counters
    one.consent(consent_id="K-1", card=PRINTED, purpose="terms", version="1", given=True)
    world.down = True
    told = one.members.consents(PRINTED)
    assert (told.complete, [each.state for each in told.consents]) == (False, ["given"])
    asked = one.consent(
        consent_id="K-2", card=PRINTED, purpose="marketing", channel="email", version="2026-03", given=True
    )
    assert [each.state for each in one.members.consents(PRINTED).consents] == ["to_confirm", "given"]
    world.clock.move(1_000)
    code = {"confirm_id": "F-1", "code": asked.consent.confirm_code, "asked_on": "customer_display"}
    one.members.confirm(read(ConfirmBody, code))
    assert [each.state for each in one.members.consents(PRINTED).consents] == ["given", "given"]


# Claims


def test_a_card_presented_after_payment_claims_the_receipt(world: Coalition):
    one, two = world.counters
    join(world, ANNA)
    world.level()
    one.sell("R-1", 1_000, None)
    world.down = True
    made = one.claim(claim_id="L-1", card=ANNA, receipt_id="R-1")
    assert (made.state, made.points) == ("provisional", 10)
    assert one.claim(claim_id="L-1", card=ANNA, receipt_id="R-1").replayed
    assert refused(one.claim, claim_id="L-1", card=BEN, receipt_id="R-1") == "receipt.id_reused"
    assert refused(one.claim, claim_id="L-2", card=BEN, receipt_id="R-1") == "claim.claimed"
    world.down = False
    world.level()
    told = one.members.claim_again("L-1")
    assert (told.state, told.points, told.say) == ("granted", 10, "10 points were added.")
    world.level()
    assert two.node.till.balance(ANNA).view.balance_points == 10
    assert verify_books(world.engine).violations == ()


def test_a_receipt_of_another_store_is_claimed_by_its_paper(world: Coalition):
    one, two = world.counters
    token = join(world, ANNA)
    world.level()
    done = one.sell("R-1", 1_250, None)
    sold_at = f"{datetime.fromtimestamp(world.clock.wall_ms() // 1000, UTC):%Y-%m-%dT%H:%M}"
    made = two.claim(claim_id="L-1", card=ANNA, printed={
        "receipt_id": "R-1", "store": "S1", "till": "one", "sold_at": sold_at, "total_minor": 1_250})  # fmt: skip
    assert (made.state, made.points) == ("provisional", None)
    world.level()
    told = two.members.claim_again("L-1")
    assert (told.state, told.points) == ("granted", 12)
    again = {"receipt_id": "R-1", "record": done.record}
    two.claim(claim_id="L-2", card=ANNA, printed=again)
    world.level()
    assert two.members.claim_again("L-2").reason == "claimed"
    assert points_of(world, token) == 12
    assert flags(world) == ["claim_refused"]


def test_what_is_plainly_not_to_be_claimed_is_refused_here(world: Coalition):
    one, _ = world.counters
    join(world, ANNA)
    world.level()
    one.sell("R-card", 1_000, ANNA)
    one.sell("R-old", 1_000, None)
    one.sell("R-void", 1_000, None)
    from edge.sale.asks import VoidAsk
    from edge.sale.taking_back import void_receipt

    void_receipt(one.node.till, VoidAsk(receipt_id="R-void", sold_at_ms=world.clock.wall_ms()))
    ask = {"claim_id": "L-1", "card": ANNA}
    assert refused(one.claim, **ask, receipt_id="R-none") == "claim.receipt_unknown"
    assert refused(one.claim, **ask, receipt_id="R-card") == "claim.has_card"
    assert refused(one.claim, **ask, receipt_id="R-void") == "claim.voided"
    assert refused(one.claim, **ask, receipt_id="R-old", record="00000000") == "claim.wrong_record"
    assert refused(one.claim, **ask, printed={"receipt_id": "R-9", "total_minor": 5}) == "claim.incomplete"
    assert refused(one.claim, **ask) == "members.card_wanted"
    world.clock.move(15 * DAY)
    assert refused(one.claim, **ask, receipt_id="R-old") == "claim.too_old"
    for n in range(2):
        one.sell(f"R-{n}", 1_000 + n, None)
        one.claim(claim_id=f"L-{n}", card=ANNA, receipt_id=f"R-{n}")
    one.sell("R-3", 1_000, None)
    assert refused(one.claim, claim_id="L-3", card=ANNA, receipt_id="R-3") == "claim.too_many"


def test_the_check_digit_of_a_number_given_here_is_gs1s(world: Coalition):
    one, _ = world.counters
    number = one.enrol(enrol_id="E-1").card_number
    weights = [int(digit) * (1 if at % 2 == 0 else 3) for at, digit in enumerate(number[:-1])]
    assert (sum(weights) + int(number[-1])) % 10 == 0
    assert gs1_digit(number[:-1]) == number[-1]
    key = one.node.till.identity.card_key
    assert one.enrol(enrol_id="E-1").card_token == card_token(key, Card(kind="ean13", number=number, last4=number[-4:]))
