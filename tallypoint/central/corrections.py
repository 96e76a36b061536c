"""`tallypoint central`: points corrected by hand, moved between accounts, accounts merged, and the second person's say.

Whoever may open this machine's database may act as anybody in it; `--by` is kept with what was done.
"""

import argparse
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection

from central.corrections.adjusting import Signed
from central.corrections.correction_limits import limits_of
from central.corrections.corrections import Correction, approve, ask, corrections, refuse
from central.corrections.previews import Preview, preview_of, preview_waiting
from central.corrections.wishes import (
    REASONS,
    AdjustmentWish,
    BadWish,
    MergeWish,
    ReinstateWish,
    TransferWish,
    Wish,
    WriteOffWish,
)
from central.intake.reinstated import revoked_streams
from central.login import Person, person_named
from central.members.members import UnknownAccount, account_of
from central.ports import Settings, reading
from loyalty.facts.centre_events import Taken
from loyalty.lots import FOREVER
from loyalty.moments import utc_date
from loyalty.pricing.earning import Earned
from loyalty.trouble import Refusal
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say
from tallypoint.central.upkeep import ask_card, till_named


def add_corrections(action: Adder) -> None:
    """Add `adjust`, `transfer`, `merge`, `write-off`, `reinstate`, `corrections`, `approve` and `refuse`."""
    adjust = action("adjust", run_adjust, "give or take points by hand, with a reason")
    _whose(adjust, "account")
    adjust.add_argument("--give", type=int, default=0, metavar="POINTS")
    adjust.add_argument("--take", type=int, default=0, metavar="POINTS")
    adjust.add_argument("--issuer", default="", help="the partner whose points they are; --take may leave it out")
    adjust.add_argument("--through", type=date.fromisoformat, help="the last valid day of points that are given")
    adjust.add_argument("--at", default="", metavar="PARTNER", help="the partner for whose sake")
    _why(adjust, "adjustment")
    transfer = action("transfer", run_transfer, "points of one account for another: a lost card, a family")
    _whose(transfer, "account")
    transfer.add_argument("to", type=int, help="the account that gets them")
    transfer.add_argument("--points", type=int, default=0, help="how many; without it, all that can be spent")
    _why(transfer, "transfer")
    merge = action("merge", run_merge, "two accounts of one member: the first is emptied into the second and closed")
    _whose(merge, "account")
    merge.add_argument("into", type=int, help="the account that stays")
    _why(merge, "merge")
    off = action("write-off", run_write_off, "give up what nothing covers of a sale; another person approves")
    _whose(off, "account")
    off.add_argument("sale", help="its place, TILL:EPOCH:SEQ, as the worklist and the partner's account name it")
    _why(off, "write_off")
    back = action("reinstate", run_reinstate, "book all that a till sold while it was revoked by mistake")
    back.add_argument("till", help="its id or its label")
    back.add_argument("--epoch", type=int, default=0, help="which enrolment; without it, the newest that is revoked")
    _why(back, "reinstate")
    listed = action("corrections", run_corrections, "what waits for a second person")
    listed.add_argument("--state", default="asked", choices=("asked", "done", "refused"))
    yes = action("approve", run_approve, "agree to a correction that somebody else asked for")
    no = action("refuse", run_refuse, "say no to a correction, and why")
    no.add_argument("--note", required=True)
    for one in (yes, no):
        one.add_argument("correction", help="its id, as `corrections` lists it")
        one.add_argument("--by", required=True, help="your login")


def run_adjust(args: argparse.Namespace) -> int:
    """Exactly one of `--give` and `--take`."""
    if (args.give > 0) == (args.take > 0):
        raise BadWish("Say either --give POINTS or --take POINTS, above 0.")
    if args.give and not (args.issuer and args.through):
        raise BadWish("Points that are given need --issuer PARTNER and --through DATE, their last valid day.")
    granted = (Earned(issuer_id=args.issuer, valid_through=args.through, points=args.give),) if args.give else ()
    taken = (Taken(issuer_id=args.issuer, points=args.take),) if args.take else ()
    facts = {"reason": args.reason, "note": args.note, "at_partner_id": args.at}
    return _ask(args, lambda who: AdjustmentWish(account_id=who, granted=granted, taken=taken, **facts))


def run_transfer(args: argparse.Namespace) -> int:
    """Soonest to lapse first."""
    facts = {"to_account_id": args.to, "points": args.points, "reason": args.reason, "note": args.note}
    return _ask(args, lambda who: TransferWish(account_id=who, **facts))


def run_write_off(args: argparse.Namespace) -> int:
    """The sale by its place."""
    till_id, _, place = args.sale.partition(":")
    epoch, _, seq = place.partition(":")
    if not (till_id and epoch.isdigit() and seq.isdigit()):
        raise BadWish("Name the sale as TILL:EPOCH:SEQ, with numbers for the last two.")
    facts = {"till_id": till_id, "epoch": int(epoch), "seq": int(seq), "reason": args.reason, "note": args.note}
    return _ask(args, lambda who: WriteOffWish(account_id=who, **facts))


def run_reinstate(args: argparse.Namespace) -> int:
    """A whole enrolment, in one decision of two people."""
    _, engine = open_office(args)
    with reading(engine) as tx:
        till_id, present = till_named(tx, args.till)
        revoked = [one.epoch for one in revoked_streams(tx) if one.till_id == till_id]
    epoch = args.epoch or max(revoked, default=present)
    return ask_or_preview(args, ReinstateWish(till_id=till_id, epoch=epoch, reason=args.reason, note=args.note))


def run_merge(args: argparse.Namespace) -> int:
    """Points, debts, cards and counters."""
    facts = {"into_account_id": args.into, "reason": args.reason, "note": args.note}
    return _ask(args, lambda who: MergeWish(account_id=who, **facts))


def run_corrections(args: argparse.Namespace) -> int:
    """The oldest first while they wait, each with what it would move now; else the newest."""
    _, engine = open_office(args)
    with reading(engine) as tx:
        rows = [_listed(tx, row, args.state == "asked") for row in corrections(tx, args.state)]
    lines = []
    for row in rows:
        whose = f"  account {row['account_id']}" if row["account_id"] else ""
        lines.append(f"{row['correction_id']}  {row['kind']:<10} {row['points']:>8} points{whose}"
                     f"  {row['reason']}  asked by {row['asked_by']}")  # fmt: skip
        lines += [f"    {line}" for line in row.pop("lines")]
    return say(args, rows, "\n".join(lines) or "Nothing is there.")


def run_approve(args: argparse.Namespace) -> int:
    """It is done at once."""
    settings, engine = open_office(args)
    by, limits = _person(args), limits_of(settings)
    done = approve(engine, args.correction, by, limits, now_ms=CLOCK.wall_ms(), randomness=RANDOMNESS)
    return _tell(args, done)


def run_refuse(args: argparse.Namespace) -> int:
    """It is kept with the note."""
    _, engine = open_office(args)
    by = _person(args)
    done = refuse(engine, args.correction, by, args.note, now_ms=CLOCK.wall_ms(), randomness=RANDOMNESS)
    return _tell(args, done)


def account_named(tx: Connection, settings: Settings, name: str) -> int:
    """An account by its number, or `card` for one whose card number is asked.

    Raises:
        UnknownAccount, NotOurCard.
    """
    if name != "card":
        if not (name.isascii() and name.isdigit()):
            raise UnknownAccount(f"{name} is no account; give its number, or `card` to be asked for a card.")
        return int(name)
    found = next((owner for name in ask_card(tx, settings) if (owner := account_of(tx, name))), None)
    if found is None:
        raise UnknownAccount("Nobody has this card; check its number.")
    return found


def _ask(args: argparse.Namespace, wish: Any) -> int:
    settings, engine = open_office(args)
    with reading(engine) as tx:
        account_id = account_named(tx, settings, args.account)
    return ask_or_preview(args, wish(account_id))


def ask_or_preview(args: argparse.Namespace, wish: Wish) -> int:
    """Ask for it as `--by`, under `--id` where one is given; with `--preview`, only say what it would move."""
    settings, engine = open_office(args)
    now_ms, correction_id = CLOCK.wall_ms(), args.id or RANDOMNESS.bytes(8).hex()
    with reading(engine) as tx:
        by = person_named(tx, args.by)
        if args.preview:
            signed = Signed(
                correction_id=correction_id, asked_by=by.login, approved_by="", on=utc_date(now_ms), now_ms=now_ms
            )
            shown = preview_of(tx, wish, signed)
            return say(args, msgspec.to_builtins(shown), "\n".join(preview_lines(shown)))
    limits = limits_of(settings)
    return _tell(args, ask(engine, wish, by, limits, correction_id=correction_id, now_ms=now_ms, randomness=RANDOMNESS))


def preview_lines(shown: Preview) -> list[str]:
    """What would move, for people."""
    lines = [f"{shown.points} points of {shown.accounts} accounts."]
    for part in shown.parts:
        day = "for ever" if part.key.valid_through == FOREVER else f"through {part.key.valid_through}"
        terms = f", terms {part.key.terms_id}" if part.key.terms_id else ""
        lines.append(f"{part.points:>10} {part.way}, {part.key.issuer_id}, good {day}{terms}")
    lines += [f"{shown.leased_points:>10} more are set aside at tills."] if shown.leased_points else []
    lines += [f"{shown.events:>10} events are booked."] if shown.events else []
    lines += [f"{shown.debt_points:>10} that are owed go along."] if shown.debt_points else []
    return lines


def _listed(tx: Connection, row: Any, waits: bool) -> dict[str, Any]:
    """A row of the list, with `lines` for people and, while it waits, `preview` or `trouble`."""
    told = {name: value for name, value in row._mapping.items() if name != "fact"} | {"lines": []}
    if not waits:
        return told
    shown = preview_waiting(tx, row, CLOCK.wall_ms())
    if isinstance(shown, Refusal):
        return told | {"trouble": shown.say, "lines": [shown.say]}
    return told | {"preview": msgspec.to_builtins(shown), "lines": preview_lines(shown)}


def _tell(args: argparse.Namespace, done: Correction) -> int:
    ends = {
        "done": "is done.",
        "asked": "waits for another person of head office: `central approve` or `central refuse`.",
        "refused": "is refused.",
    }
    data = msgspec.to_builtins(done)
    return say(args, data, f"Correction {done.correction_id}, {done.points} points, {ends[done.state]}")


def _person(args: argparse.Namespace) -> Person:
    _, engine = open_office(args)
    with reading(engine) as tx:
        return person_named(tx, args.by)


def _whose(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(name, help="number of the account, or `card` to be asked for a card")


def _why(parser: argparse.ArgumentParser, kind: str) -> None:
    parser.add_argument("--reason", required=True, choices=REASONS[kind])
    parser.add_argument("--by", required=True, help="your login")
    add_asking(parser)


def add_asking(parser: argparse.ArgumentParser) -> None:
    """`--note`, `--id` and `--preview`, which every request of a correction takes."""
    parser.add_argument("--note", default="")
    parser.add_argument("--id", default="", help="of this correction, to send it again safely; else one is drawn")
    parser.add_argument("--preview", action="store_true", help="only say what it would move, and ask for nothing")
