"""`tallypoint demo`: two partners, three stores, four tills, 1,000 members, two business days, one period closed.

Everything is real: processes of their own, HTTP on loopback, a scanner on a pseudo-terminal, a line that is pulled,
a till that is killed in mid-sale. It ends with a table and the invariants, checked by code that shares none of the
ledger's sums.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from rich.console import Console

from tallypoint.demo.checks import check_all
from tallypoint.demo.days import play
from tallypoint.demo.kiosk import SelfCheckout
from tallypoint.demo.report import show
from tallypoint.demo.shop import Shop, open_shop
from tallypoint.demo.story import Story


def register(commands: Any) -> None:
    """Add `demo`."""
    demo = commands.add_parser("demo", help="play two days of a small coalition, then stay up to be looked at")
    demo.add_argument("--once", action="store_true", help="exit after the story, non-zero if any invariant fails")
    demo.add_argument("--sales", type=int, default=400, help="sales over both days (default 400)")
    demo.add_argument("--seed", type=int, default=7, help="of every choice customers make (default 7)")
    demo.add_argument("--data", type=Path, help="keep everything in this folder (default: a temporary one)")
    demo.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Play the story, print the table, check the invariants; then wait for Ctrl-C unless `--once`."""
    console = Console()
    folder = args.data or Path(tempfile.mkdtemp(prefix="tallypoint-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    shop = open_shop(folder, args.seed, console)
    # Whatever ends us in mid-story ends the services too, and the folder goes.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        shop.start()
        story = Story(args.seed, shop.cards)
        counter = play(shop, story, args.sales, console)
        result = shop.settle()
        violations = check_all(shop, result)
        show(console, shop, counter, result, violations)
        if not args.once:
            _stay(console, shop, story)
    finally:
        shop.stop()
        if args.data is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if violations else 0


def _stay(console: Console, shop: Shop, story: Story) -> None:
    """Keep the services up until somebody stops us, with a POS that follows what is pressed at the self-checkout."""
    console.print("\n[bold]It stays up. Open:[/bold]")
    for what, address in shop.addresses():
        console.print(f"  {what:<38} {address}", highlight=False)
    console.print(f"\nA member's card to type or scan: {story.regulars[0]}", highlight=False)
    console.print("At the self-checkout goods are rung up for it, and are paid 20 seconds after the last touch.")
    console.print("Ctrl-C stops it cleanly.")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    SelfCheckout(shop.tills[3], story, seed=6, when={}).serve(stop)
    console.print("Stopping …")
