"""`tallypoint replay FILE --map MAP --backtest`: what programmes would have cost, as tables, JSON, CSV and a page."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from loyalty.programme.programme import Programme
from tallypoint.backtest.backtest import Backtest, backtest
from tallypoint.backtest.csv_files import make_folder, write, write_csv
from tallypoint.backtest.report import html_of
from tallypoint.backtest.result import BacktestReport, Tally
from tallypoint.backtest.text import count, micro_money, money, signed, totals
from tallypoint.files import BadContent, read_text
from tallypoint.receipts_file import FileMap, read_receipts

MOST_LISTED = 20
ONLY_HERE = ("against", "html", "csv", "coalition", "point_micro", "spend_points")
NOT_HERE = ("data", "database")


class _Store(msgspec.Struct, frozen=True):
    store_id: str


class _Partner(msgspec.Struct, frozen=True):
    partner_id: str
    stores: tuple[_Store, ...] = ()


class _Coalition(msgspec.Struct, frozen=True):
    partners: tuple[_Partner, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a back-test can be told besides file, map and programme."""
    more = parser.add_argument_group("back-test", "price the sales only; nothing is posted")
    more.add_argument("--backtest", action="store_true", help="what would the programme have cost?")
    more.add_argument("--against", type=Path, metavar="Q", help="another programme to hold it against")
    more.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts")
    more.add_argument("--csv", type=Path, metavar="FOLDER", help="write promotions.csv, receipts.csv and members.csv")
    more.add_argument("--coalition", type=Path, metavar="FILE", help="whose the stores are; others are dealt out")
    more.add_argument(
        "--point-micro", type=_worth, metavar="N", help="worth of a point in micro-units of the currency; 10000 is 0.01"
    )
    more.add_argument("--spend-points", action="store_true", help="members pay with all the points they may")


def check_arguments(args: argparse.Namespace, complain: Callable[[str], Any]) -> None:
    """Refuse what would be ignored: options of a back-test without it, and of a replay with it."""
    for name in NOT_HERE if args.backtest else ONLY_HERE:
        if getattr(args, name) not in (None, "", False):
            option = f"--{name.replace('_', '-')}"
            complain(f"{option} does not go with --backtest" if args.backtest else f"{option} needs --backtest")


def run_backtest(args: argparse.Namespace, what: FileMap, programme: Programme, against: Programme | None) -> int:
    """Price the file, write what was asked for; exit 0 only when every sale was priced."""
    programmes = [programme] if against is None else [programme, against]
    partner_of = _partners(args.coalition) if args.coalition else None
    for folder in filter(None, (args.csv, args.html and args.html.parent)):
        make_folder(folder)
    read = read_receipts(args.file, what)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Sales", total=sum(not one.is_return for one in read.receipts))
        found = backtest(
            read,
            what.currency,
            programmes,
            partner_of=partner_of,
            point_worth_micro=args.point_micro,
            spend_points=args.spend_points,
            progress=lambda done: bar.update(task, completed=done) if done % 100 == 0 else None,
        )
    if args.csv:
        write_csv(args.csv, found)
    if args.html:
        write(args.html, [html_of(found.report)])
    if args.json:
        print(json_of(found.report))
    else:
        show(found)
    return 1 if found.report.unpriced else 0


def json_of(report: BacktestReport) -> str:
    """The report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def show(found: Backtest) -> None:
    """The report as tables on the terminal."""
    report, console = found.report, Console()
    console.print(_totals(report))
    for number in range(len(report.programmes)):
        console.print(_promotions(report, number))
    if report.comparison:
        console.print(_winners(report))
    for one in report.unpriced:
        listed = ", ".join(one.receipts[:MOST_LISTED]) + (", and more" if len(one.receipts) > MOST_LISTED else "")
        say = f"{len(one.receipts):,} sales not priced under {one.programme}: {one.code}. {one.say} {listed}"
        console.print(say, markup=False)


def _totals(report: BacktestReport) -> Table:
    table = _table(f"Back-test, {report.currency}", "what", *_names(report))
    file = report.file
    empty = [""] * (len(_names(report)) - 1)
    table.add_row("lines read", count(file.lines), *empty)
    for one in file.set_aside:
        table.add_row(f"set aside: {one.reason}", count(one.lines), *empty)
    table.add_row("returns, not priced", count(file.returns), *empty)
    table.add_row("members", count(file.members), *empty)
    for words, figures in totals(report):
        table.add_row(words, *figures)
    return table


def _names(report: BacktestReport) -> list[str]:
    names = [one.programme for one in report.programmes]
    return [*names, "difference"] if len(names) > 1 else names


def _promotions(report: BacktestReport, number: int) -> Table:
    programme = report.programmes[number]
    table = _table(programme.programme, "promotion", "receipts", "members", "discount", "points", "cost")
    for one in sorted(programme.promotions, key=lambda one: -one.cost_micro):
        table.add_row(
            one.name or one.promotion,
            count(one.receipts),
            count(one.members),
            money(one.discount_minor, report.currency),
            count(one.points),
            micro_money(one.cost_micro, report.currency),
        )
    return table


def _winners(report: BacktestReport) -> Table:
    assert report.comparison is not None
    first, other = report.programmes
    table = _table(
        f"{first.programme} held against {other.programme}", "by", "better", "gain", "worse", "lose", "same"
    )  # fmt: skip
    for words in ("receipts", "members", "departments"):
        tally: Tally = getattr(report.comparison, words)
        table.add_row(
            words,
            count(tally.better),
            signed(micro_money(tally.gained.value_micro, report.currency)),
            count(tally.worse),
            micro_money(tally.lost.value_micro, report.currency),
            count(tally.same),
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _partners(path: Path) -> dict[str, str]:
    """Stores and their partners, of a file as `central coalition` loads it. Raises: BadFile, BadContent."""
    try:
        coalition = msgspec.convert(yaml.safe_load(read_text(path)), _Coalition)
    except (yaml.YAMLError, msgspec.ValidationError) as trouble:
        raise BadContent(f"{path} is no coalition file: {trouble}", path=str(path)) from None
    return {store.store_id: partner.partner_id for partner in coalition.partners for store in partner.stores}


def _worth(text: str) -> int:
    worth = int(text)
    if worth < 0:
        raise ValueError(text)
    return worth
