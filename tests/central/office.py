"""Head office at work on accounts: people who ask for corrections and approve them, and what the books say then."""

from datetime import date
from typing import Any

from sqlalchemy import select

from central.corrections import corrections
from central.corrections.correction_limits import Limits, OverTime
from central.corrections.corrections import Correction
from central.corrections.wishes import AdjustmentWish, MergeWish, TransferWish, Wish
from central.database import tables as t
from central.login import Person
from central.ports import reading
from central.verify.books import verify_books
from loyalty.facts.centre_events import Taken
from loyalty.pricing.earning import Earned
from tests.central.tills import Centre

ANA = Person(user_id="1", login="ana", name="Ana", role="head_office", partner_id="")
BEA = Person(user_id="2", login="bea", name="Bea", role="head_office", partner_id="")
FINN = Person(user_id="3", login="finn", name="Finn", role="partner_finance", partner_id="bolt")
WIDE = OverTime(day_points=1_000_000, month_points=1_000_000)
LIMITS = Limits(
    alone_points=100, most_points=1_000, partner_most_points=50, alone=WIDE, asker=WIDE, account=WIDE, approver=WIDE
)
YEAR_END = date(2026, 12, 31)


class Office:
    """Asks and approves at a centre, each wish under an id of its own."""

    def __init__(self, centre: Centre, limits: Limits = LIMITS) -> None:
        self.centre, self.limits, self.n = centre, limits, 0

    def ask(self, wish: Wish, by: Person = ANA, correction_id: str = "") -> Correction:
        self.n += 1
        return corrections.ask(
            self.centre.engine, wish, by, self.limits, correction_id=correction_id or f"c{self.n}",
            now_ms=self.centre.now, randomness=self.centre.random,
        )  # fmt: skip

    def approve(self, correction_id: str, by: Person = BEA) -> Correction:
        return corrections.approve(
            self.centre.engine, correction_id, by, self.limits, now_ms=self.centre.now, randomness=self.centre.random
        )

    def refuse(self, correction_id: str, note: str = "no", by: Person = BEA) -> Correction:
        return corrections.refuse(
            self.centre.engine, correction_id, by, note, now_ms=self.centre.now, randomness=self.centre.random
        )

    def done(self, wish: Wish) -> None:
        """Asked, and approved where that is needed."""
        asked = self.ask(wish)
        if asked.state == "asked":
            self.approve(asked.correction_id)

    def held(self, account_id: int) -> list[tuple[str, str, int, int]]:
        """Last day, issuer, points and lapsed points of each lot that has any."""
        chosen = select(t.lot.c.valid_through, t.lot.c.issuer_id, t.lot.c.points, t.lot.c.expired)
        here = chosen.where(t.lot.c.account_id == account_id, t.lot.c.points + t.lot.c.expired > 0)
        return self.centre.rows(here.order_by(t.lot.c.valid_through, t.lot.c.issuer_id))  # type: ignore[return-value]

    def account(self, account_id: int) -> tuple[Any, ...]:
        """Version, status and what it was merged into."""
        chosen = select(t.account.c.version, t.account.c.status, t.account.c.merged_into)
        return self.centre.rows(chosen.where(t.account.c.account_id == account_id))[0]

    def kinds(self, account_id: int) -> list[tuple[Any, ...]]:
        """Version and kind of the account's events, in its order."""
        chosen = select(t.event.c.account_version, t.event.c.kind).where(t.event.c.account_id == account_id)
        return self.centre.rows(chosen.order_by(t.event.c.account_version))

    def adds_up(self) -> bool:
        """Whether verification finds nothing."""
        violations = verify_books(self.centre.engine).violations
        assert violations == (), violations
        return True

    def rows(self, query: Any) -> list[tuple[Any, ...]]:
        with reading(self.centre.engine) as tx:
            return [tuple(row) for row in tx.execute(query)]


def give(account_id: int, points: int, issuer_id: str = "acme", through: date = YEAR_END, **facts: Any) -> Wish:
    granted = (Earned(issuer_id=issuer_id, valid_through=through, points=points),)
    return AdjustmentWish(**{"account_id": account_id, "reason": "goodwill", "granted": granted} | facts)


def take(account_id: int, points: int, issuer_id: str = "") -> Wish:
    taken = (Taken(issuer_id=issuer_id, points=points),)
    return AdjustmentWish(account_id=account_id, reason="wrong_points", taken=taken)


def transfer(account_id: int, to_account_id: int, points: int = 0) -> Wish:
    return TransferWish(account_id=account_id, to_account_id=to_account_id, points=points, reason="lost_card")


def merge(account_id: int, into_account_id: int) -> Wish:
    return MergeWish(account_id=account_id, into_account_id=into_account_id, reason="duplicate_member")
