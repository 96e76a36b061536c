"""`tallypoint central quarantine`: what is kept out of the books, and what is to become of it.

Whoever may open this machine's database may act as anybody in it; `--by` is kept with what was done.
"""

import argparse
from pathlib import Path

import msgspec

from central.corrections.fixing import read_fact
from central.corrections.wishes import REASONS, FixWish
from central.intake.quarantine import Item, Shown, items, key_named, show, write_off
from central.intake.replaying import replay_all, replay_one
from central.login import person_named
from central.ports import reading, writing
from loyalty.trouble import Refusal
from tallypoint.central.corrections import add_asking, ask_or_preview
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say
from tallypoint.files import read_text

DOINGS = ("list", "show", "replay", "fix", "write-off")


class SayWhich(Refusal):
    code = "quarantine.say_which"
    status = 422


def add_quarantine(action: Adder) -> None:
    """Add `quarantine`."""
    kept = action("quarantine", run_quarantine, "uploads and events kept out of the books: list, show, decide")
    kept.add_argument("doing", nargs="?", default="list", choices=DOINGS)
    kept.add_argument("item", nargs="?", default="", help="its name, as the list shows it")
    kept.add_argument("--decided", action="store_true", help="list what was decided instead of what waits")
    kept.add_argument("--all", action="store_true", help="replay everything that can be read by now")
    kept.add_argument("--fact", type=Path, help="fix: the corrected head as JSON; without it, as the till sent it")
    kept.add_argument("--reason", choices=REASONS["fix"], help="fix: why")
    kept.add_argument("--by", default="", help="your login")
    add_asking(kept)


def run_quarantine(args: argparse.Namespace) -> int:
    """One of `DOINGS`."""
    if args.doing == "list":
        return _list(args)
    if args.doing == "replay" and args.all:
        return _replay_all(args)
    if not args.item:
        raise SayWhich("Name the item, as `central quarantine` lists it.")
    return {"show": _show, "replay": _replay, "fix": _fix, "write-off": _write_off}[args.doing](args)


def _list(args: argparse.Namespace) -> int:
    _, engine = open_office(args)
    with reading(engine) as tx:
        found = items(tx, decided=args.decided)
    return say(args, msgspec.to_builtins(found), "\n".join(map(_line, found)) or "Nothing is there.")


def _show(args: argparse.Namespace) -> int:
    _, engine = open_office(args)
    with reading(engine) as tx:
        shown = show(tx, key_named(tx, args.item))
    return say(args, msgspec.to_builtins(shown), "\n".join(_lines(shown)))


def _replay_all(args: argparse.Namespace) -> int:
    _, engine = open_office(args)
    done = replay_all(engine, CLOCK.wall_ms(), RANDOMNESS, args.by or "command line")
    return say(args, msgspec.to_builtins(done), f"{done.looked_at} looked at, {done.posted} events posted.")


def _replay(args: argparse.Namespace) -> int:
    _, engine = open_office(args)
    with reading(engine) as tx:
        key = key_named(tx, args.item)
    done = replay_one(engine, key, CLOCK.wall_ms(), RANDOMNESS, args.by or "command line")
    return say(args, msgspec.to_builtins(done), f"{done.posted} events posted.")


def _fix(args: argparse.Namespace) -> int:
    if not (args.reason and args.by):
        raise SayWhich("A fix needs --reason and --by; another person then approves it.")
    _, engine = open_office(args)
    with reading(engine) as tx:
        key = key_named(tx, args.item)
        shown = show(tx, key)
    fact = read_fact(read_text(args.fact) if args.fact else shown.payload)
    wish = FixWish(
        till_id=key.till_id, epoch=key.epoch, seq=key.seq, sha256=key.sha256, fact=fact, reason=args.reason,
        note=args.note,
    )  # fmt: skip
    return ask_or_preview(args, wish)


def _write_off(args: argparse.Namespace) -> int:
    _, engine = open_office(args)
    with writing(engine) as tx:
        by = person_named(tx, args.by)
        key = key_named(tx, args.item)
        write_off(
            tx, key, note=args.note, by=by.login, user_id=by.user_id, now_ms=CLOCK.wall_ms(), randomness=RANDOMNESS
        )
    return say(args, {"written_off": key.name}, f"{key.name} is written off; its bytes are kept.")


def _line(one: Item) -> str:
    parts = [one.name, one.cause, one.kind or "?", one.receipt_id, one.reads]
    if one.outcome:
        parts += [one.outcome, f"by {one.decided_by}", one.note]
    return "  ".join(part for part in parts if part)


def _lines(shown: Shown) -> list[str]:
    return [
        _line(shown.item),
        *([shown.payload] if shown.payload else []),
        *(f"    {_line(one)}" for one in shown.events),
    ]
