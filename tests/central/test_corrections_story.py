"""Any story of tills and head office adds up: late sales, goods that come back, corrections, merges, expiry."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from central.corrections.ending import redate, set_last_day
from central.corrections.expiry import due_on, expire
from central.database import tables as t
from central.ports import writing
from central.posting.late import post_overdue
from loyalty.facts.receipts import Receipt
from loyalty.lots import EventRef
from loyalty.trouble import Refusal
from tests.central.office import Office, give, merge, take, transfer
from tests.central.tills import ANNA, BEN, DAY, TODAY, Centre, told
from tests.support.lent_databases import copied

CARDS = (ANNA, BEN, "2900000000032", "2900000000049")
STEPS = 60


class Story:
    """Members, two tills that send when they like, and a head office that corrects."""

    def __init__(self, centre: Centre, seed: int) -> None:
        self.centre, self.office, self.dice = centre, Office(centre), random.Random(seed)
        self.members = [centre.member(card) for card in CARDS]
        self.tills = [centre.till("S1"), centre.till("S2")]
        self.sold: list[tuple[EventRef, Receipt]] = []
        self.today, self.n = TODAY, 0
        for till in self.tills:
            till.hello()

    def play(self) -> None:
        ways: list[Callable[[], None]] = [
            self.sell, self.sell, self.sell, self.spend, self.spend, self.take_back, self.void, self.send, self.send,
            self.correct, self.correct, self.move, self.merge, self.sleep, self.end,
        ]  # fmt: skip
        for _ in range(STEPS):
            try:
                self.dice.choice(ways)()
            except Refusal:
                continue  # head office may say no; what tills did it never refuses
        for till in self.tills:
            if till.head.seq > till.sent:
                till.upload()
        with writing(self.centre.engine) as tx:
            post_overdue(tx, self.centre.now + 8 * DAY, self.centre.random)

    def name(self, what: str) -> str:
        self.n += 1
        return f"{what}{self.n}"

    def whom(self) -> int:
        return self.dice.choice(self.members)

    def sell(self, spend: int = 0) -> None:
        till, on = self.dice.choice(self.tills), self.today - timedelta(days=self.dice.randrange(4))
        amount = self.dice.choice([300, 2_000, 9_000])
        bought = till.receipt(self.name("R"), amount, told(self.whom(), 0, spend), spend=spend, on=on)
        self.sold.append((till.append(bought), bought))

    def spend(self) -> None:
        self.sell(self.dice.choice([5, 40, 120]))

    def take_back(self) -> None:
        if self.sold:
            of, bought = self.dice.choice(self.sold)
            self.dice.choice(self.tills).take_back(self.name("B"), of, bought, self.dice.choice([250, 500, 1000]))

    def void(self) -> None:
        for till in self.tills:
            own = [one for one in self.sold if one[0].till_id == till.head.till_id]
            if own and self.dice.random() < 0.3:
                of, bought = own[-1]
                self.sold.remove((of, bought))
                till.void(of, bought)

    def send(self) -> None:
        till = self.dice.choice(self.tills)
        if till.head.seq > till.sent:
            till.upload()

    def correct(self) -> None:
        issuer, days = self.dice.choice(["acme", "bolt"]), self.dice.choice([0, 1, 3, 200])
        if self.dice.random() < 0.6:
            self.office.done(give(self.whom(), self.dice.choice([10, 150]), issuer, self.today + timedelta(days=days)))
        else:
            self.office.done(take(self.whom(), self.dice.choice([5, 60]), self.dice.choice(["", issuer])))

    def move(self) -> None:
        self.office.done(transfer(self.whom(), self.whom(), self.dice.choice([0, 10])))

    def merge(self) -> None:
        if self.dice.random() < 0.5:
            self.office.done(merge(self.whom(), self.whom()))

    def sleep(self) -> None:
        """A night, after which the run may be made or missed."""
        self.today += timedelta(days=1)
        self.centre.now += DAY
        if self.dice.random() < 0.7:
            expire(self.centre.engine, due_on(self.centre.now), self.centre.now, self.centre.random)

    def end(self) -> None:
        if self.dice.random() < 0.2:
            with writing(self.centre.engine) as tx:
                set_last_day(tx, self.today + timedelta(days=2), self.centre.now, self.dice.choice(["acme", "bolt"]))
            for _ in redate(self.centre.engine, self.today, self.centre.now, self.centre.random):
                pass


def played(url: str, seed: int) -> None:
    centre = Centre(url)
    try:
        story = Story(centre, seed)
        story.play()
        assert story.office.adds_up()
        negative = select(func.count()).where((t.lot.c.points < 0) | (t.lot.c.expired < 0))
        assert story.office.rows(negative) == [(0,)]
        events = select(func.count()).where(t.event.c.state == "quarantined")
        assert story.office.rows(events) == [(0,)]
    finally:
        centre.engine.dispose()


@pytest.mark.parametrize("seed", range(12))
def test_any_story_adds_up(central_file, tmp_path, seed: int) -> None:
    played(copied(central_file, tmp_path / "central.db"), seed)


@pytest.mark.postgresql
@pytest.mark.parametrize("seed", range(100, 102))
def test_any_story_adds_up_on_postgresql(lent_postgres: str, seed: int) -> None:
    played(lent_postgres, seed)
