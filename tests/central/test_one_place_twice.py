"""A till whose disk went back gives one place to two receipts: goods come back to the one they are of, or to none."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.corrections.wishes import BadWish, FixWish, NotThere
from central.database import tables as t
from central.intake.quarantine import items, key_named, show
from central.ports import reading, writing
from central.posting.late import DAY_MS, post_arrived, post_overdue
from central.posting.posting import Poster
from central.verify import books as verify
from central.verify.books import verify_books
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import close_void
from loyalty.lots import EventRef
from sync.wire import Problem
from tests.central.office import Office
from tests.central.tills import Centre, Till, told

BERT = "2900000000025"


class Story:
    """Anna's R3 stands in the books where the till, put back, gave its number to Bert's R2, which is in quarantine."""

    def __init__(self, centre: Centre, *, of_one: bool = False, amount: int = 2_000) -> None:
        self.centre, self.anna, self.bert = centre, centre.member(), centre.member(BERT)
        self.office = Office(centre)
        till = self.till = centre.till()
        till.sell("R1", 4_000, None)
        till.upload()
        before = till.head
        till.sell("R3", 3_000, told(self.anna))
        till.upload()
        till.head, till.events, till.sent = before, till.events[:1], 1
        self.sold: Receipt = till.receipt("R2", amount, told(self.anna if of_one else self.bert))
        self.of: EventRef = till.append(self.sold)
        problem = till.send(till.batch())
        assert isinstance(problem, Problem) and problem.code == "sync.fork"
        self.anew = Till(centre, "S1", till_id=till.head.till_id, seed="anew")

    def fix(self) -> None:
        """Two people post R2 from what is in quarantine."""
        with reading(self.centre.engine) as tx:
            (upload,) = (one for one in items(tx) if one.kind == "upload")
            (event,) = show(tx, key_named(tx, upload.name)).events
        wish = FixWish(till_id=event.till_id, epoch=event.epoch, seq=event.seq, sha256=upload.name, fact=self.sold,
                       reason="till_stopped")  # fmt: skip
        self.office.done(wish)

    def points(self) -> tuple[int, int]:
        """Anna's and Bert's."""
        rows = dict(self.centre.rows(select(t.lot.c.account_id, t.lot.c.points)))
        return rows.get(self.anna, 0), rows.get(self.bert, 0)

    def owed(self) -> list[tuple[Any, ...]]:
        return self.centre.rows(select(t.debt.c.account_id, t.debt.c.points))

    def state(self, ref: EventRef) -> tuple[str, int]:
        here = t.event.c.till_id == ref.till_id, t.event.c.epoch == ref.epoch, t.event.c.seq == ref.seq
        return self.centre.rows(select(t.event.c.state, t.event.c.account_id).where(*here))[0]

    def waits(self) -> list[tuple[Any, ...]]:
        return self.centre.rows(select(t.waiting.c.of_epoch, t.waiting.c.of_seq, t.waiting.c.of_receipt))

    def arrived(self) -> int:
        with writing(self.centre.engine) as tx:
            return post_arrived(tx, self.centre.now, self.centre.random)

    def overdue(self, days: int) -> int:
        self.centre.now += days * DAY_MS
        with writing(self.centre.engine) as tx:
            return post_overdue(tx, self.centre.now, self.centre.random)

    def holds(self) -> bool:
        assert self.centre.recompute().differs == 0
        return verify_books(self.centre.engine).violations == ()


@pytest.fixture
def story(centre: Centre) -> Story:
    return Story(centre)


def test_goods_of_a_receipt_in_quarantine_take_nothing_from_the_member_who_has_its_place(story: Story) -> None:
    back = story.anew.take_back("B1", story.of, story.sold, 500)
    assert story.anew.upload().flagged == ((1, "other_receipt"),)
    assert story.points() == (30, 0)
    assert (story.state(back), story.waits()) == (("waiting", story.bert), [(1, 2, "R2")])
    assert story.centre.figures("other_receipt") == {"named": "R2", "found": "R3"}
    assert story.arrived() == 0
    assert story.holds()


def test_goods_that_wait_are_posted_with_the_receipt_once_people_post_it(story: Story) -> None:
    back = story.anew.take_back("B1", story.of, story.sold, 500)
    story.anew.upload()
    story.fix()
    assert (story.points(), story.waits(), story.state(back)) == ((30, 10), [], ("posted", story.bert))
    assert story.holds()


def test_goods_find_a_receipt_that_people_posted_before_they_came(story: Story) -> None:
    story.fix()
    assert story.points() == (30, 20)
    story.anew.take_back("B1", story.of, story.sold, 500)
    assert story.anew.upload().flagged == ()
    assert story.points() == (30, 10)
    story.anew.take_back("B2", story.of, story.sold, 500, earlier=500)
    assert story.anew.upload().flagged == ()
    assert (story.points(), story.owed()) == ((30, 0), [])
    assert story.holds()


def test_goods_and_a_receipt_that_people_post_at_the_same_moment_find_each_other(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = story.anew.take_back("B1", story.of, story.sold, 500)
    story.anew.upload()
    with monkeypatch.context() as neither_sees:
        neither_sees.setattr(Poster, "_waiters_for", lambda *_: {})
        story.fix()
    assert (story.points(), story.state(back)[0]) == ((30, 20), "waiting")
    assert (story.arrived(), story.arrived()) == (1, 0)
    assert (story.points(), story.state(back)[0]) == ((30, 10), "posted")
    assert story.holds()


def test_goods_of_a_receipt_that_never_comes_are_posted_without_it_on_their_own_member(story: Story) -> None:
    back = story.anew.take_back("B1", story.of, story.sold, 500)
    story.anew.upload()
    assert (story.overdue(6), story.overdue(1), story.overdue(1)) == (0, 1, 0)
    assert (story.points(), story.state(back)) == ((30, 0), ("posted", story.bert))
    assert story.owed() == [(story.bert, 10)]
    assert story.holds()


def test_a_void_of_a_receipt_in_quarantine_undoes_nothing_and_is_given_up(story: Story) -> None:
    void = story.anew.append(close_void(story.sold, story.of, story.anew.place()))
    assert story.anew.upload().flagged == ((1, "other_receipt"),)
    assert story.points() == (30, 0)
    story.overdue(7)
    assert (story.points(), story.state(void)[0]) == ((30, 0), "quarantined")
    assert story.holds()


def test_a_void_finds_a_receipt_that_people_posted_and_takes_its_counters_back(story: Story) -> None:
    story.fix()
    void = story.anew.append(close_void(story.sold, story.of, story.anew.place()))
    assert story.anew.upload().flagged == ()
    assert story.points() == (30, 0)
    mine = t.use.c.by_till == void.till_id, t.use.c.by_epoch == void.epoch, t.use.c.by_seq == void.seq
    reversed_ = select(t.use.c.account_id, t.use.c.amount).where(*mine, t.use.c.name == "points:reversed")
    assert story.centre.rows(reversed_) == [(story.bert, 20)]
    assert story.holds()


def test_a_return_of_release_one_takes_the_receipt_at_its_place(story: Story) -> None:
    returned = story.anew.returned("B1", story.of, story.sold, ())
    old = msgspec.structs.replace(returned, of_receipt="")
    assert (old.of, old.of_receipt) == (story.of, "")
    posted = story.anew.append(old)
    assert story.anew.upload().flagged == ()
    assert story.state(posted) == ("posted", story.anna)


def test_a_correction_that_names_the_receipt_beside_the_one_it_means_is_refused(story: Story, centre: Centre) -> None:
    other = centre.till("S2")
    broken = msgspec.structs.replace(other.returned("B1", story.of, story.sold, ()), receipt_id="")
    ref = other.append(broken)
    other.upload()
    mended = msgspec.structs.replace(broken, receipt_id="B1")
    wish = FixWish(till_id=ref.till_id, epoch=ref.epoch, seq=ref.seq, fact=mended, reason="wrong_figures")
    with pytest.raises((NotThere, BadWish), match="not in the books"):
        story.office.ask(wish)
    story.fix()
    story.office.done(wish)
    assert story.holds()


def test_verification_tells_the_two_receipts_of_one_place_apart(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 50 points that came back unposted 30 were there; of the other receipt there never were more than 30."""
    story = Story(centre, of_one=True, amount=5_000)
    story.anew.take_back("B1", story.of, story.sold, 1_000)
    story.anew.upload()
    assert story.overdue(7) == 1
    assert (story.points(), story.owed()) == ((0, 0), [(story.anna, 20)])
    assert story.holds()
    monkeypatch.setattr(verify, "point_at_receipts", lambda *_: None)
    assert "debt.folded" in {one.code for one in verify_books(centre.engine).violations}
