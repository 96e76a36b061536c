"""A till's day against what the POS counted: figure by figure, with the receipts that explain what differs.

Nothing here stops a close. Without the POS's list of sales a receipt is only a guess, and says what kind of guess.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from loyalty.approvals import Override

Why = Literal["only_here", "only_at_pos", "amount_differs", "voided", "charged_differs", "same_amount"]
COUNTS = ("receipts", "voids", "returns")
MONEY = ("net_minor", "discount_minor", "returned_minor")
POINTS = ("points_earned", "points_spent", "points_reversed")
FIGURES = (*COUNTS, *MONEY, *POINTS)
PAID_HERE = ("points", "certificate", "wallet")  # what the till pays itself; a POS need not list it
TENDER = "tender:"
MOST_NAMED = 20


class TenderTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units that one means of payment paid of sales; change is off, and what returns paid out is not in it."""

    kind: str
    amount_minor: int


class DayTotals(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a POS, or a till, counted of a day; none for a figure that it does not say."""

    receipts: int | None = None
    voids: int | None = None
    returns: int | None = None
    net_minor: int | None = None
    discount_minor: int | None = None
    returned_minor: int | None = None
    points_earned: int | None = None
    points_spent: int | None = None
    points_reversed: int | None = None
    tenders: tuple[TenderTotal, ...] | None = None

    def by_figure(self) -> dict[str, int]:
        """Each figure that is said, tenders as `tender:cash`."""
        said = {name: value for name in FIGURES if (value := getattr(self, name)) is not None}
        for tender in self.tenders or ():
            said[TENDER + tender.kind] = said.get(TENDER + tender.kind, 0) + tender.amount_minor
        return said


class SaleTotal(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A sale in the POS's own list."""

    receipt_id: str
    net_minor: int


class DayEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One receipt, return or void of the day: what it adds to each figure."""

    receipt_id: str
    adds: dict[str, int]
    is_voided: bool = False
    charged_differs: bool = False


class Explaining(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt that explains a difference, or could; `amount` is its own part of the figure."""

    receipt_id: str
    amount: int
    why: Why


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A figure on which both do not agree."""

    figure: str
    pos: int
    till: int
    receipts: tuple[Explaining, ...] = ()

    @property
    def difference(self) -> int:
        """How much more the till has."""
        return self.till - self.pos


class CloseDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Beside the counts of a till close: who closed, what the POS had, and what of the day is worth a look.

    Attributes:
        till: what the till counted and the head of the event does not say: discounts and tenders.
        pos: as the POS sent it; none where it sent nothing.
    """

    cashier: str = ""
    override: Override | None = None
    till: DayTotals | None = None
    pos: DayTotals | None = None
    differences: tuple[Difference, ...] = ()
    overrides: int = 0
    offline_receipts: int = 0
    parked_expired: int = 0


def totals_of_day(entries: Iterable[DayEntry]) -> DayTotals:
    """What the entries of a day come to."""
    sums = dict.fromkeys(FIGURES, 0)
    tenders: dict[str, int] = {}
    for entry in entries:
        for figure, amount in entry.adds.items():
            if figure.startswith(TENDER):
                kind = figure.removeprefix(TENDER)
                tenders[kind] = tenders.get(kind, 0) + amount
            else:
                sums[figure] += amount
    paid = tuple(TenderTotal(kind=kind, amount_minor=tenders[kind]) for kind in sorted(tenders))
    return DayTotals(**sums, tenders=paid)


def compare_day(
    entries: Sequence[DayEntry], pos: DayTotals, sales: Sequence[SaleTotal] | None = None
) -> tuple[Difference, ...]:
    """Every figure on which a POS and its till do not agree.

    Args:
        entries: receipts, returns and voids of the day, as the till has them.
        pos: what it does not say is not compared; tenders, once any is said, are compared for every kind.
        sales: each sale of the POS's day, where it sent them: then sums of sales are explained exactly.
    """
    ours, theirs = totals_of_day(entries).by_figure(), pos.by_figure()
    if pos.tenders is not None:
        theirs = {**{name: 0 for name in ours if _is_compared(name)}, **theirs}
    order = [*FIGURES, *sorted(name for name in theirs if name.startswith(TENDER))]
    found = []
    for figure in (name for name in order if name in theirs):
        till = ours.get(figure, 0)
        if till != theirs[figure]:
            receipts = _explained(figure, till - theirs[figure], entries, sales)
            found.append(Difference(figure=figure, pos=theirs[figure], till=till, receipts=receipts))
    # Two mistakes that make up for each other leave the sum right.
    is_told = sales is None or any(one.figure == "net_minor" for one in found)
    if odd := () if is_told else _against(sales or (), entries, "net_minor"):
        found.append(Difference(figure="net_minor", pos=ours["net_minor"], till=ours["net_minor"], receipts=odd))
    return tuple(found)


def _is_compared(figure: str) -> bool:
    return figure.startswith(TENDER) and figure.removeprefix(TENDER) not in PAID_HERE


def _explained(
    figure: str, difference: int, entries: Sequence[DayEntry], sales: Sequence[SaleTotal] | None
) -> tuple[Explaining, ...]:
    if sales is not None and figure in ("receipts", "net_minor"):
        return _against(sales, entries, figure)
    adding = {entry.receipt_id: entry for entry in entries if entry.adds.get(figure)}
    # What the POS left out as voided is what the till has more.
    undone = {name for name, entry in adding.items() if entry.is_voided} if difference > 0 else set()
    voided = _named(adding, figure, "voided", undone)
    if voided and sum(one.amount for one in voided) == difference:
        return voided
    same = {name for name, entry in adding.items() if abs(entry.adds[figure]) == abs(difference)}
    odd = {name for name, entry in adding.items() if entry.charged_differs} if figure not in COUNTS else set()
    guesses = (*_named(adding, figure, "same_amount", same if figure not in COUNTS else set()),
               *_named(adding, figure, "charged_differs", odd), *voided)  # fmt: skip
    first: dict[str, Explaining] = {}
    for guess in guesses:
        first.setdefault(guess.receipt_id, guess)
    return tuple(first.values())[:MOST_NAMED]


def _named(adding: Mapping[str, DayEntry], figure: str, why: Why, names: set[str]) -> tuple[Explaining, ...]:
    return tuple(
        Explaining(receipt_id=name, amount=entry.adds[figure], why=why)
        for name, entry in adding.items()
        if name in names
    )


def _against(sales: Sequence[SaleTotal], entries: Sequence[DayEntry], figure: str) -> tuple[Explaining, ...]:
    """Sale by sale: what one of both does not have, or has with another amount; `amount` is the till's less the
    POS's."""
    theirs = {sale.receipt_id: sale.net_minor for sale in sales}
    sold = {entry.receipt_id: entry for entry in entries if "receipts" in entry.adds}
    ours = {name: entry.adds["net_minor"] for name, entry in sold.items()}
    found = []
    for name in (*ours, *(name for name in theirs if name not in ours)):
        difference = ours.get(name, 0) - theirs.get(name, 0)
        if name not in theirs:
            why: Why = "voided" if sold[name].is_voided else "only_here"
            found.append(Explaining(receipt_id=name, amount=1 if figure == "receipts" else difference, why=why))
        elif name not in ours:
            amount = -1 if figure == "receipts" else difference
            found.append(Explaining(receipt_id=name, amount=amount, why="only_at_pos"))
        elif difference and figure != "receipts":
            found.append(Explaining(receipt_id=name, amount=difference, why="amount_differs"))
    return tuple(found[:MOST_NAMED])
