"""Head office comes back from a backup of before a member joined: what was sold to them meanwhile is theirs again."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from central.coalition.slots import open_slot
from central.corrections.stray_points import bring_home
from central.database.rows import put
from central.database.tables import account, card, flag, lot
from central.members.members import AccountClosed, CardTaken, account_of, block_card, create_account
from central.ports import reading, writing
from central.tills.forgotten_cards import FORGOTTEN, give_forgotten
from central.tills.shown_accounts import take_shown
from central.tills.snapshots import SnapshotMaker
from central.verify.books import verify_books
from central.worklist.worklist import FlagKey, UnknownFlag, settle_flag
from edge.identity import read_identity_file
from edge.line.enrol import JOURNAL_FILE, enrol
from edge.line.sending_left import SendLeft
from edge.opening import open_journal
from loyalty.programme.programme import programme_from
from sync.desk import DeskAsk, ToldAccount
from sync.enrolment import fingerprint
from tallypoint.in_process import NOWHERE, StoryClock
from tests.central.test_told_leases import backup, put_back
from tests.central.tills import ANNA, COALITION, NOW, PROGRAMME
from tests.tallypoint.test_members_and_cards import ANA, HOUR, Coalition, Counter, join

OTHER = "c" * 32


class Shops(Coalition):
    def hear(self, *counters: Counter) -> None:
        for _ in range(3):
            self.clock.move(2 * HOUR)
            for counter in counters:
                self.sync(counter.node)
                counter.line.keep()
            bring_home(self.engine, self.clock.wall_ms(), self.randomness)

    def owner(self, token: str) -> int:
        with reading(self.engine) as tx:
            found = account_of(tx, token)
        assert found is not None
        return found

    def points(self) -> dict[int, int]:
        """By account, where there are any."""
        sums: dict[int, int] = {}
        with reading(self.engine) as tx:
            for account_id, points in tx.execute(select(lot.c.account_id, lot.c.points)):
                sums[account_id] = sums.get(account_id, 0) + points
        return {account_id: points for account_id, points in sums.items() if points}

    def flags(self) -> list[tuple[str, str]]:
        with reading(self.engine) as tx:
            rows = tx.execute(select(flag.c.cause, flag.c.state))
            return sorted((cause, state) for cause, state in rows if cause in ("account_unknown", "card_has_points"))

    def show(self, counter: Counter, account_id: int, *cards: str) -> None:
        identity = counter.node.till.identity
        ask = DeskAsk(
            till_id=identity.till_id, epoch=1, key_no=1, counter=0, sent_at_ms=0, what="accounts",
            accounts=(ToldAccount(account_id=account_id, cards=cards),),
        )  # fmt: skip
        with writing(self.engine) as tx:
            take_shown(tx, ask, self.clock.wall_ms())


@pytest.fixture
def shops(tmp_path: Path, central_url: str) -> Iterator[Shops]:
    there = Shops(tmp_path, StoryClock(NOW), COALITION, central_url)
    there.publish(programme_from({**PROGRAMME, "members": {"numbers_at_once": 120}}))
    there.counters = (Counter(there, "S1", "one"), Counter(there, "S2", "two"))
    there.level()
    yield there
    there.close()


def joined_and_lost(shops: Shops) -> tuple[Any, int]:
    """Ana joins at one till, buys at it and, once it has heard of her, at the other; then head office is as before."""
    one, two = shops.counters
    before = backup(shops)  # type: ignore[arg-type]
    made = one.enrol(enrol_id="E-1", person=ANA)
    one.sell("R-1", 1_000, made.card_number)
    shops.hear(one, two)
    two.sell("R-2", 2_000, made.card_number)
    shops.hear(one, two)
    lost = shops.owner(made.card_token)
    assert shops.points() == {lost: 30}
    put_back(shops, before)  # type: ignore[arg-type]
    return made, lost


@pytest.mark.parametrize("first", [0, 1], ids=["her till is heard first", "the other till is heard first"])
def test_points_of_a_member_who_joined_since_the_backup_are_on_one_account(shops: Shops, first: int) -> None:
    made, lost = joined_and_lost(shops)
    for counter in (shops.counters[first], shops.counters[1 - first]):
        shops.hear(counter)
    shops.hear(*shops.counters)
    owner = shops.owner(made.card_token)
    # Where the other till came first, the card led to the account of before, and she joined on that.
    assert (owner == lost) == (first == 1)
    assert shops.points() == {owner: 30}
    with reading(shops.engine) as tx:
        assert tx.execute(select(account.c.status).where(account.c.account_id == owner)).scalar() == "registered"
        who = shops.people.read(tx, owner)
    assert who is not None and who.name == ANA["name"]
    flags = [("account_unknown", "settled")] + [("card_has_points", "settled")] * (first == 0)
    assert shops.flags() == flags
    # And on: both tills name her by what head office says now.
    for n, counter in enumerate(shops.counters):
        counter.sell(f"R-1{n}", 1_000, made.card_number)
    shops.hear(*shops.counters)
    assert shops.points() == {owner: 50}
    assert [counter.node.till.balance(made.card_number).view.balance_points for counter in shops.counters] == [50, 50]
    assert verify_books(shops.engine).violations == ()
    for counter in shops.counters:
        told = counter.node.journal.told_accounts
        assert (told.through(), told.waiting()) == (None, ())


def test_a_till_that_sells_on_while_members_come_anew_shows_that_too(shops: Shops) -> None:
    """Between the hello that tells of the restore and the last page it still names the account of before."""
    made, lost = joined_and_lost(shops)
    one, two = shops.counters
    shops.clock.move(2 * HOUR)
    for _ in range(100):
        two.node.uplink.run_once()
        if two.node.journal.told_accounts.through() is not None:
            break
    two.sell("R-3", 4_000, made.card_number)
    event = two.node.journal.find("R-3").event
    assert event.account_id == lost
    shops.hear(one)
    shops.hear(two, one)
    assert shops.points() == {shops.owner(made.card_token): 70}
    assert verify_books(shops.engine).violations == ()


def test_what_tills_show_moves_no_account_that_is_somebodys(shops: Shops) -> None:
    one, two = shops.counters
    join(shops, ANNA)
    shops.hear(one, two)
    one.sell("R-1", 1_000, ANNA)
    shops.hear(one, two)
    (anna,) = shops.points()
    with reading(shops.engine) as tx:
        cards = set(tx.execute(select(card.c.card_token, card.c.account_id)))
    shops.show(two, anna, OTHER)
    shops.show(two, 4711, OTHER)  # that nothing names
    with reading(shops.engine) as tx:
        assert set(tx.execute(select(card.c.card_token, card.c.account_id))) == cards
    assert shops.flags() == []


def test_an_account_whose_cards_are_two_members_is_left_for_a_person(shops: Shops) -> None:
    made, lost = joined_and_lost(shops)
    one, two = shops.counters
    join(shops, ANNA)
    told = two.node.journal.told_accounts
    shops.clock.move(2 * HOUR)
    shops.sync(one.node)
    shops.sync(two.node)  # its event is there; what it shows goes with a chore
    assert [each.account_id for each in told.waiting()] == [lost]
    with reading(shops.engine) as tx:
        anna_card = tx.execute(select(card.c.card_token).where(card.c.card_token != made.card_token)).scalars().first()
    assert anna_card
    shops.show(two, lost, made.card_token, anna_card)
    assert shops.flags() == [("account_unknown", "open")]
    assert shops.points()[lost] == 20
    # A till that says less is believed; said again, it changes nothing.
    shops.show(two, lost, made.card_token)
    shops.show(two, lost, made.card_token)
    assert shops.flags() == [("account_unknown", "settled"), ("card_has_points", "open")]
    bring_home(shops.engine, shops.clock.wall_ms(), shops.randomness)
    assert shops.points() == {shops.owner(made.card_token): 30}


def test_nothing_more_is_shown_once_head_office_has_the_same_of_members_whom_nothing_changed(shops: Shops) -> None:
    one, two = shops.counters
    still = two.enrol(enrol_id="E-0", person={"name": "Ewa"})
    shops.hear(one, two)
    joined_and_lost(shops)
    shops.hear(one, two)
    shops.hear(one, two)
    # Of Ewa head office has nothing new to say, so no page tells of her.
    assert one.node.journal.told_accounts.through() is not None
    SnapshotMaker(shops.engine, shops.clock).step()
    shops.hear(one, two)
    shops.clock.move(HOUR // 6)  # the next part is compared at other times
    shops.hear(one, two)
    assert one.node.journal.told_accounts.through() is None
    one.sell("R-9", 1_000, still.card_number)
    shops.hear(one, two)
    assert one.node.till.balance(still.card_number).view.balance_points == 10


def test_no_card_stays_in_the_journal_once_head_office_has_heard(shops: Shops) -> None:
    joined_and_lost(shops)
    shops.hear(*shops.counters)
    shops.hear(*shops.counters)
    for counter in shops.counters:
        rows = counter.node.journal._database.rows("SELECT * FROM told_account")
        assert rows == []


# Sales of an epoch that is over


def begun_anew(shops: Shops, how: str) -> None:
    """The second till begins another epoch: it is enrolled once more, or its journal is damaged."""
    one, two = shops.counters
    node, settings = two.node, two.node.till.settings
    node.journal.checkpoint()
    node.journal.close()
    node.cache.close()
    if how == "enrolled anew":
        with writing(shops.engine) as tx:
            slot = open_slot(
                tx, shops.randomness, store_id="S2", label="two", now_ms=shops.clock.wall_ms(),
                till_id=node.till.identity.till_id,
            )  # fmt: skip
        enrol(
            settings, shops.clock, code=slot.code, fingerprint=fingerprint(shops.signer.public),
            exchange=shops.exchange, random_bytes=os.urandom, again=True,
        )  # fmt: skip
    else:
        path = settings.folder / JOURNAL_FILE
        path.write_bytes(bytes(4_096) + path.read_bytes()[4_096:])
    identity = read_identity_file(settings.folder)
    assert identity is not None
    open_journal(settings, identity, shops.clock, lambda bits: 5).journal.close()
    shops.counters = (one, Counter(shops, "S2", "two"))
    assert shops.counters[1].node.till.identity.epoch > node.till.identity.epoch


def hear_and_bring(shops: Shops) -> None:
    """Everybody hears everything, and what the second till wrote in its first epoch comes by the till's own chore."""
    two = shops.counters[1]
    shops.hear(*shops.counters)
    SendLeft(
        journal=two.node.journal, identity=two.node.till.identity, folder=two.node.till.settings.folder,
        clock=shops.clock, url=NOWHERE, exchange=lambda url, body, _deadline_ms: shops.exchange(url, body),
        is_offline=lambda: False,
    ).send()  # fmt: skip
    shops.hear(*shops.counters)


@pytest.mark.parametrize(
    ("how", "restored"), [("damaged", "after that"), ("damaged", "before that"), ("enrolled anew", "before that")]
)
def test_an_account_that_only_events_of_an_earlier_epoch_name_follows_its_card(
    shops: Shops, how: str, restored: str
) -> None:
    before = backup(shops)  # type: ignore[arg-type]
    one, two = shops.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one, two)
    two.sell("R-2", 2_000, made.card_number)
    shops.hear(one, two)
    lost = shops.owner(made.card_token)
    if restored == "before that":  # the till has not heard of it when it forgets the members of its first epoch
        put_back(shops, before)  # type: ignore[arg-type]
        begun_anew(shops, how)
    else:
        begun_anew(shops, how)
        hear_and_bring(shops)
        put_back(shops, before)  # type: ignore[arg-type]
    hear_and_bring(shops)
    owner = shops.owner(made.card_token)
    assert owner != lost
    assert shops.points() == {owner: 20}
    assert shops.flags() == [("account_unknown", "settled"), ("card_has_points", "settled")]
    two = shops.counters[1]
    assert (two.node.journal.told_accounts.through(), two.node.journal.told_accounts.waiting()) == (None, ())
    assert verify_books(shops.engine).violations == ()


def test_what_is_left_of_an_earlier_epoch_is_at_head_office_before_its_accounts_are_shown(shops: Shops) -> None:
    """Shown too early an account would not be there yet, and nobody would show it again."""
    before = backup(shops)  # type: ignore[arg-type]
    one, two = shops.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one, two)
    two.sell("R-2", 2_000, made.card_number)
    shops.hear(two)
    lost = shops.owner(made.card_token)
    put_back(shops, before)  # type: ignore[arg-type]
    begun_anew(shops, "enrolled anew")
    shops.hear(*shops.counters)  # its own chore brings the rest of the first epoch later
    told = shops.counters[1].node.journal.told_accounts
    assert [each.account_id for each in told.waiting()] == [lost]
    assert lost not in shops.points()
    hear_and_bring(shops)
    assert shops.points() == {shops.owner(made.card_token): 20}


def test_a_new_epoch_of_a_till_whose_head_office_was_never_put_back_leaves_no_card_behind(shops: Shops) -> None:
    one, two = shops.counters
    made = one.enrol(enrol_id="E-1", person=ANA)
    shops.hear(one, two)
    two.sell("R-2", 2_000, made.card_number)
    shops.hear(one, two)
    begun_anew(shops, "enrolled anew")
    told = shops.counters[1].node.journal.told_accounts
    assert [each.cards for each in told.waiting()] == [(made.card_token,)]
    hear_and_bring(shops)
    assert (told.through(), told.waiting()) == (None, ())
    assert (shops.points(), shops.flags()) == ({shops.owner(made.card_token): 20}, [])


# A card that was given since the backup by a till that is gone


def given_and_lost(shops: Shops, *card_ids: str) -> tuple[list[Any], int]:
    """Anna, who is in the backup, gets more cards at one till; the other sells on the last. The first till's disk and
    head office's books of that time are gone."""
    one, two = shops.counters
    join(shops, ANNA)
    shops.hear(one, two)
    one.sell("R-1", 1_000, ANNA)
    shops.hear(one, two)
    before = backup(shops)  # type: ignore[arg-type]
    made = [one.card(card_id=card_id, what="issue", member_card=ANNA, card=None) for card_id in card_ids]
    shops.hear(one, two)
    two.sell("R-2", 2_000, made[-1].card_number)
    shops.hear(two)
    (anna,) = shops.points()
    put_back(shops, before)  # type: ignore[arg-type]
    shops.counters = (two,)
    shops.hear(two)
    return made, anna


def forgotten(shops: Shops) -> list[Any]:
    with reading(shops.engine) as tx:
        rows = tx.execute(select(flag).where(flag.c.cause == FORGOTTEN).order_by(flag.c.n)).all()
    return [(FlagKey(till_id=row.till_id, epoch=row.epoch, seq=row.seq, cause=row.cause, n=row.n), row) for row in rows]


def give(shops: Shops, key: FlagKey) -> None:
    with writing(shops.engine) as tx:
        give_forgotten(tx, key, by="olga", now_ms=shops.clock.wall_ms())


def test_a_card_whose_giving_is_lost_everywhere_is_on_the_worklist_and_the_member_s_at_a_word(shops: Shops) -> None:
    (made,), anna = given_and_lost(shops, "C-1")
    (two,) = shops.counters
    ((key, row),) = forgotten(shops)
    figures = msgspec.json.decode(row.figures)
    assert (row.receipt_id, row.account_id, figures) == (
        "R-2", anna, {"account_id": anna, "card_token": made.card_token}
    )  # fmt: skip
    # Meanwhile it is nobody's: what it earns waits on an account of its own.
    assert two.node.till.balance(made.card_number).known is False
    two.sell("R-3", 4_000, made.card_number)
    shops.hear(two)
    assert sorted(shops.points().values()) == [30, 40]
    give(shops, key)
    shops.hear(two)
    assert shops.owner(made.card_token) == anna
    assert shops.points() == {anna: 70}
    assert two.node.till.balance(made.card_number).view.balance_points == 70
    ((_, row),) = forgotten(shops)
    assert (row.state, row.settled_by) == ("settled", "olga")
    assert shops.flags() == [("card_has_points", "settled")]
    assert verify_books(shops.engine).violations == ()
    with pytest.raises(UnknownFlag):
        give(shops, key)


def test_two_cards_that_are_given_back_each_bring_what_they_earned(shops: Shops) -> None:
    """One event of the till tells of both, and so both findings are beside each other there."""
    made, anna = given_and_lost(shops, "C-1", "C-2")
    (two,) = shops.counters
    rows = forgotten(shops)
    assert [(row.receipt_id, row.n) for _, row in rows] == [("R-2", 0), ("R-2", 1)]
    for one in made:
        two.sell(f"R-{one.card_number}", 1_000, one.card_number)
    shops.hear(two)
    assert sorted(shops.points().values()) == [10, 10, 30]
    for key, _ in rows:
        give(shops, key)
    shops.hear(two)
    assert shops.points() == {anna: 50}
    assert shops.flags() == [("card_has_points", "settled")] * 2
    assert verify_books(shops.engine).violations == ()


def test_what_a_till_says_of_a_member_s_card_is_asked_once_and_moves_nothing_by_itself(shops: Shops) -> None:
    (made,), anna = given_and_lost(shops, "C-1")
    (two,) = shops.counters
    with reading(shops.engine) as tx:
        cards = set(tx.execute(select(card.c.card_token, card.c.account_id)))
    for _ in range(2):
        shops.show(two, anna, made.card_token)
    assert [row.state for _, row in forgotten(shops)] == ["open"]
    with writing(shops.engine) as tx:
        settle_flag(tx, forgotten(shops)[0][0], note="not hers", by="olga", now_ms=1)
        block_card(tx, OTHER, "stolen", 1)
    shops.show(two, anna, made.card_token, OTHER)  # said no to, and blocked
    assert [row.state for _, row in forgotten(shops)] == ["settled"]
    shops.show(two, anna, "d" * 32)
    assert [(key.n, row.state) for key, row in forgotten(shops)] == [(0, "settled"), (1, "open")]
    with reading(shops.engine) as tx:
        assert set(tx.execute(select(card.c.card_token, card.c.account_id))) == cards


def test_a_card_that_is_another_member_s_by_now_or_whose_member_is_gone_is_not_given(shops: Shops) -> None:
    _, anna = given_and_lost(shops, "C-1")
    (two,) = shops.counters
    shops.show(two, anna, "d" * 32)
    (first, _), (second, _) = forgotten(shops)
    with writing(shops.engine) as tx:
        ben = create_account(tx, shops.randomness, 1)
        put(tx, card, [{"card_token": "d" * 32, "account_id": ben, "since_ms": 1}])
    with pytest.raises(CardTaken):
        give(shops, second)
    with writing(shops.engine) as tx:
        tx.execute(update(account).where(account.c.account_id == anna).values(status="erased"))
    with pytest.raises(AccountClosed):
        give(shops, first)
    assert [row.state for _, row in forgotten(shops)] == ["open", "open"]


def test_a_till_says_nothing_of_members_whom_its_events_do_not_name(shops: Shops) -> None:
    one, two = shops.counters
    join(shops, ANNA)
    shops.hear(one, two)
    one.sell("R-1", 1_000, ANNA)
    shops.hear(one, two)
    (anna,) = shops.points()
    shops.show(two, anna, OTHER)
    assert forgotten(shops) == []
