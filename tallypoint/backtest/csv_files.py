"""The rows behind a back-test as CSV, for a spreadsheet: promotions, receipts, members.

Money is in major units with its decimals, as `amounts` writes it; columns of the programme that the first one is held
against start with `other`.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from central.settlement.csv_text import Figure, csv_line
from loyalty.amounts import format_minor, micro_to_minor
from loyalty.trouble import Fault
from tallypoint.backtest.backtest import Backtest
from tallypoint.backtest.compare import Got, token_of, worth_of
from tallypoint.backtest.pricing import Given

PROMOTIONS = (
    "programme", "promotion", "name", "funded_by", "receipts", "members", "discount", "discount_funded", "points",
    "points_funded", "points_cost", "cost", "gifts", "coupons",
)  # fmt: skip
RECEIPT = ("receipt", "sold_on", "store", "partner", "member", "sales")
MEMBER = ("member", "receipts", "sales")
GOT = ("discount", "points", "value", "points_spent")
DIFFERENCE = ("difference_discount", "difference_points", "difference_value")


class CannotWrite(Fault):
    code = "file.unwritable"


def write_csv(folder: Path, found: Backtest) -> None:
    """Write promotions.csv, receipts.csv and members.csv. Raises: CannotWrite."""
    write(folder / "promotions.csv", promotions_csv(found))
    write(folder / "receipts.csv", receipts_csv(found))
    write(folder / "members.csv", members_csv(found))


def make_folder(folder: Path) -> None:
    """Make a folder that results go to, before the work is done that they come from. Raises: CannotWrite."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise _cannot_write(folder, trouble) from None


def write(path: Path, parts: Iterable[str]) -> None:
    """A text file, line by line as it is made. Raises: CannotWrite."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(parts)
    except OSError as trouble:
        raise _cannot_write(path, trouble) from None


def promotions_csv(found: Backtest) -> Iterator[str]:
    """A line for each promotion of each programme."""
    money = _Money(found.report.currency)
    yield csv_line(PROMOTIONS)
    for programme in found.report.programmes:
        for one in programme.promotions:
            yield csv_line((
                programme.programme, one.promotion, one.name, one.funded_by, one.receipts, one.members,
                money.minor(one.discount_minor), money.minor(one.discount_funded_minor), one.points, one.points_funded,
                money.micro(one.points_micro), money.micro(one.cost_micro), one.gifts, one.coupons,
            ))  # fmt: skip


def receipts_csv(found: Backtest) -> Iterator[str]:
    """A line for each sale that was priced, in the order of time; `member` is empty where no card was shown."""
    money = _Money(found.report.currency)
    yield csv_line((*RECEIPT, *_columns(found)))
    for sale, *given in zip(found.sales, *(run.given for run in found.runs), strict=True):
        place = sale.place
        yield csv_line((
            sale.basket.receipt_id, place.business_date.isoformat(), place.store_id, place.partner_id,
            token_of(sale.member) if sale.member else "", money.minor(sale.sales_minor), *_got(given, found, money),
        ))  # fmt: skip


def members_csv(found: Backtest) -> Iterator[str]:
    """A line for each member, in the order of first sales."""
    money = _Money(found.report.currency)
    yield csv_line((*MEMBER, *_columns(found)))
    for number in sorted(found.runs[0].members):
        members = [run.members[number] for run in found.runs]
        given = [
            Given(
                discount_minor=member.sum.discount_minor,
                points=member.sum.points,
                paid_with_points_minor=member.paid_with_points_minor,
                points_spent=member.points_spent,
            )
            for member in members
        ]
        sums = members[0].sum
        yield csv_line((token_of(number), sums.receipts, money.minor(sums.sales_minor), *_got(given, found, money)))


def _cannot_write(path: Path, trouble: OSError) -> CannotWrite:
    return CannotWrite(f"{path} cannot be written: {trouble}. Name another place.", path=str(path))


def _columns(found: Backtest) -> tuple[str, ...]:
    return GOT if len(found.runs) == 1 else (*GOT, *(f"other_{name}" for name in GOT), *DIFFERENCE)


def _got(given: Sequence[Given], found: Backtest, money: "_Money") -> Iterator[Any]:
    """What was given under each programme, and the difference of the two."""
    worths = [one.point_worth_micro for one in found.report.programmes]
    for one, worth in zip(given, worths, strict=True):
        yield from (money.minor(one.discount_minor), one.points, money.worth(one, worth), one.points_spent)
    if len(given) > 1:
        first, other = given
        yield money.minor(first.discount_minor - other.discount_minor)
        yield first.points - other.points
        yield money.micro(
            worth_of(first, worths[0], money.currency) - worth_of(other, worths[1], money.currency)
        )


class _Money:
    """Figures in one currency, written so that a spreadsheet adds them up."""

    def __init__(self, currency: str) -> None:
        self.currency = currency

    def minor(self, minor: int) -> Figure:
        return Figure(format_minor(minor, self.currency))

    def micro(self, micro: int) -> Figure:
        return self.minor(micro_to_minor(micro, self.currency))

    def worth(self, got: Got, worth: int) -> Figure:
        return self.micro(worth_of(got, worth, self.currency))
