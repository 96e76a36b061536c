"""`tallypoint replay FILE --map MAP`: real receipts the whole way and a reconciliation table, or a back-test."""

import argparse
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from loyalty.amounts import format_minor
from loyalty.programme.programme import Programme, read_programme
from tallypoint.backtest.command import add_arguments, check_arguments, run_backtest
from tallypoint.files import read_text
from tallypoint.receipts_file import read_map, read_receipts
from tallypoint.replay.replay import Replayed, replay


def register(commands: Any) -> None:
    """Add `replay`."""
    parser = commands.add_parser("replay", help="send a file of real receipts through tills, sync and ledger")
    parser.add_argument("file", type=Path, help="CSV, or CSV in gzip")
    parser.add_argument("--map", required=True, help="what its columns mean; online_retail.yaml and others ship")
    parser.add_argument("--programme", type=Path, help="default: the demo's, in the file's currency")
    parser.add_argument("--data", type=Path, help="keep tills and head office in this folder, to replay into it again")
    parser.add_argument("--database", default="", help="head office's database as a URL (default: SQLite)")
    parser.add_argument("--json", action="store_true")
    add_arguments(parser)
    parser.set_defaults(run=run, complain=parser.error)


def run(args: argparse.Namespace) -> int:
    """Replay, print the reconciliation, exit 0 only when nothing is violated; or back-test instead."""
    check_arguments(args, args.complain)
    what = read_map(args.map)
    programme = _programme(args.programme, what.currency)
    if args.backtest:
        against = _programme(args.against, what.currency) if args.against else None
        return run_backtest(args, what, programme, against)
    read = read_receipts(args.file, what)
    folder = args.data or Path(tempfile.mkdtemp(prefix="tallypoint-replay-"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Receipts", total=len(read.receipts))
            result = replay(
                read,
                programme,
                folder,
                database_url=args.database,
                progress=lambda done: bar.update(task, completed=done),
            )
    finally:
        if args.data is None:
            shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        _show(result)
    return 1 if result.violations or result.posted_twice else 0


def _programme(path: Path | None, currency: str) -> Programme:
    """The programme named; or the demo's, whose rules do not depend on the currency they count in."""
    if path is not None:
        return read_programme(read_text(path))
    text = (resources.files("tallypoint") / "programmes" / "harbour.yaml").read_text("utf-8")
    programme = read_programme(text)
    own = tuple(msgspec.structs.replace(promotion, funded_by="") for promotion in programme.promotions)
    return msgspec.structs.replace(programme, currency=currency, promotions=own)


def _show(result: Replayed) -> None:
    console = Console()
    table = Table(title="Reconciliation", title_justify="left", title_style="bold")
    table.add_column("what")
    table.add_column("figure", justify="right")
    lines = result.lines
    rows = [
        ("lines read", f"{lines.read:,}"),
        ("lines posted", f"{lines.posted:,}"),
        *((f"set aside: {one.reason}", f"{one.lines:,}") for one in result.set_aside),
        ("sales", f"{result.receipts:,}"),
        ("of them anonymous", f"{result.anonymous:,}"),
        ("returns", f"{result.returns:,}"),
        (f"sold, {result.currency}", format_minor(result.sales_minor, result.currency)),
        (f"returned, {result.currency}", format_minor(result.returned_minor, result.currency)),
        (f"discounts, {result.currency}", format_minor(result.discount_minor, result.currency)),
        ("points earned", f"{result.points_earned:,}"),
        ("points reversed", f"{result.points_reversed:,}"),
        *((f"worklist: {cause}", f"{count:,}") for cause, count in sorted(result.worklist.items())),
        ("posted twice", f"{result.posted_twice:,}"),
        ("violations", f"{len(result.violations):,}"),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for one in result.violations[:20]:
        console.print(one, markup=False)
