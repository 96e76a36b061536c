"""What is known while a sale is worked out: what came in, what lines cost by now, what has applied."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from loyalty.baskets import Basket, Place
from loyalty.members import MemberView, Use, WalletItem
from loyalty.pricing.leases import Authority
from loyalty.programme.benefits import MONEY
from loyalty.programme.programme import Programme
from loyalty.programme.promotion import ByItself, Promotion
from tests.loyalty.naive.goods import names


@dataclass(frozen=True, eq=False)
class Run:
    """A promotion and what set it off: its place in the document, and the code by its place among those entered."""

    promotion: Promotion
    listed: int
    entered: int = -1
    code: str = ""

    @property
    def turn(self) -> int:
        """Automatic ones first, then those of events, then those of codes as entered."""
        return -2 if isinstance(self.promotion.trigger, ByItself) else self.entered

    @property
    def takes_money_off(self) -> bool:
        return any(isinstance(benefit, MONEY) for benefit in self.promotion.then)


@dataclass
class Sale:
    """One way to work a basket out; a second try starts from a new one."""

    programme: Programme
    basket: Basket
    place: Place
    view: MemberView | None
    authority: Authority
    bearer: tuple[WalletItem, ...]
    shared: dict[str, int]
    off: list[int] = field(default_factory=list)
    paid: list[int] = field(default_factory=list)
    off_by: dict[str, list[int]] = field(default_factory=dict)
    points_by: dict[str, list[int]] = field(default_factory=dict)  # at the end of a row those of the whole receipt
    units_by: dict[str, int] = field(default_factory=dict)
    spent: int = 0
    held: list[Run] = field(default_factory=list)
    applied: list[Run] = field(default_factory=list)
    verdicts: dict[Run, str] = field(default_factory=dict)
    original: list[int] = field(default_factory=list)
    began: list[int] = field(default_factory=list)
    stage: str = ""
    prizes: list[tuple[str, int, int]] = field(default_factory=list)
    going: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.off = [0] * len(self.lines)
        self.paid = [0] * len(self.lines)
        self.original = self.costs()
        self.began = self.costs()

    def copy(self) -> "Sale":
        """The same figures, to try something on; rows of figures are replaced, never changed."""
        twin = copy(self)
        for one in ("held", "applied", "going", "prizes"):
            setattr(twin, one, list(getattr(self, one)))
        for one in ("off_by", "points_by", "units_by", "verdicts"):
            setattr(twin, one, dict(getattr(self, one)))
        return twin

    @property
    def lines(self) -> tuple[Any, ...]:
        return self.basket.lines

    @property
    def today(self) -> date:
        return self.place.business_date

    @property
    def local(self) -> datetime:
        """Store time, as a time of the store's own offset."""
        return self.instant + timedelta(minutes=self.place.offset_min)

    @property
    def instant(self) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self.place.sold_at_ms)

    def costs(self) -> list[int]:
        """What lines cost by now: less what was taken off, less what points paid."""
        return [line.amount_minor - off - paid for line, off, paid in zip(self.lines, self.off, self.paid, strict=True)]

    def option(self, promotion: Promotion, name: str) -> Any:
        """What the promotion declares, else the programme."""
        own = getattr(promotion.options, name, None)
        return getattr(self.programme.options, name) if own is None else own

    def is_certificate(self, position: int) -> bool:
        sold = self.programme.certificates
        return sold is not None and names(sold.sold, self.lines[position])

    def suffix(self, per: str) -> str:
        """What a period adds to the name of a counter."""
        return suffix_on(self.local.date(), per)

    def counter(self, name: str) -> int | None:
        """A counter of the member; none where the till does not hold it."""
        if self.view is None or self.view.counters is None:
            return None
        return value_of(self.view.counters, name)

    def took(self, promotion: Promotion) -> int:
        return sum(self.off_by.get(promotion.id, ()))

    def times_applied(self, promotion: Promotion) -> int:
        return sum(run.promotion.id == promotion.id for run in self.applied)


def suffix_on(on: date, per: str) -> str:
    """A running period as names of counters end."""
    return {
        "ever": "",
        "year": f":{on.year}",
        "quarter": f":{on.year}-Q{(on.month + 2) // 3}",
        "month": f":{on.year}-{on.month:02}",
        "day": f":{on.isoformat()}",
    }[per]


def value_of(uses: Iterable[Use], name: str) -> int:
    return sum(use.amount for use in uses if use.name == name)
