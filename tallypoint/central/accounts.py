"""`tallypoint central`: histories and balances, expiry, opening balances, partners and programmes that end."""

import argparse
from datetime import date
from pathlib import Path

import msgspec
from sqlalchemy import select

from central.coalition.programmes import current_programme
from central.console.history import Entry, history_of
from central.corrections.ending import outstanding
from central.corrections.expiry import due_on, expire
from central.corrections.opening_file import keep_opening, read_opening
from central.corrections.wishes import EndingWish, OpeningWish
from central.database.tables import account
from central.keys.card_keys import ring_of
from central.login import person_named
from central.members.members import UnknownAccount
from central.ports import reading, writing
from central.posting.balances import balance_at_date, balance_at_version
from central.posting.certificates import free_certificate
from edge.sale.certificate_names import code_token
from loyalty.moments import utc_date
from tallypoint.central.corrections import account_named, add_asking, ask_or_preview
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say, secret
from tallypoint.files import BadFile, read_bytes


def add_accounts(action: Adder) -> None:
    """Add `history`, `balance-at`, `expire`, `free-certificate`, `open-balances`, `leave` and `end-programme`."""
    history = action("history", run_history, "everything that happened to an account's points, and why")
    at = action("balance-at", run_balance_at, "what an account held at a date, or at one of its versions")
    for one in (history, at):
        one.add_argument("account", help="number of the account, or `card` to be asked for a card")
    when = at.add_mutually_exclusive_group(required=True)
    when.add_argument("--on", type=date.fromisoformat, help="business date, YYYY-MM-DD")
    when.add_argument("--version", type=int, help="number of events that are folded in")
    lapse = action("expire", run_expire, "the expiry run of a date; again, what is left of it")
    lapse.add_argument("--on", type=date.fromisoformat, help="YYYY-MM-DD; the run that is due where it is left out")
    free = action("free-certificate", run_free, "lift the block of a certificate; asks for its code")
    free.add_argument("--by", required=True, help="your login")
    opening = action(
        "open-balances", run_open_balances,
        "ask for points of an older scheme from a CSV file, all rows or none; another person approves",
    )  # fmt: skip
    opening.add_argument("file", type=Path)
    opening.add_argument("--scheme", required=True, help="the name of the older scheme")
    leave = action("leave", run_leave, "a partner leaves: its points that members still hold; ask for a last day")
    leave.add_argument("partner")
    leave.add_argument("--expire-on", type=date.fromisoformat, metavar="DATE",
                       help="ask for this last day of its points; another person approves")  # fmt: skip
    leave.add_argument("--by", default="", help="your login; needed where a day is asked for")
    end = action("end-programme", run_end_programme,
                 "ask for the last day on which any points are good; another person approves")  # fmt: skip
    end.add_argument("--last-day", type=date.fromisoformat, required=True, metavar="DATE")
    for one in (opening, end):
        one.add_argument("--by", required=True, help="your login")
    for one in (opening, leave, end):
        add_asking(one)


def run_history(args: argparse.Namespace) -> int:
    """The newest first."""
    settings, engine = open_office(args)
    with reading(engine) as tx:
        told = history_of(tx, account_named(tx, settings, args.account))
    lines = [f"Account {told.account_id}, {told.status}: {told.balance} points after {told.version} events."]
    lines += [f"Merged into account {told.merged_into}."] if told.merged_into else []
    lines += [line for entry in told.entries for line in _lines(entry)]
    lines += [f"{told.left_out} older events are left out."] if told.left_out else []
    return say(args, msgspec.to_builtins(told), "\n".join(lines))


def run_balance_at(args: argparse.Namespace) -> int:
    """Lots and their sum, from postings."""
    settings, engine = open_office(args)
    with reading(engine) as tx:
        account_id = account_named(tx, settings, args.account)
        if tx.execute(select(account.c.account_id).where(account.c.account_id == account_id)).first() is None:
            raise UnknownAccount(f"There is no account {account_id}.", account_id=account_id)
        by_date = args.on is not None
        told = balance_at_date(tx, account_id, args.on) if by_date else balance_at_version(tx, account_id, args.version)
    lines = [f"{told.points} points, {told.live_points} of them live, {told.leased_points} set aside at tills."]
    lines += [f"{one.points:>8}  {one.key.issuer_id}  good through {one.key.valid_through}" for one in told.lots]
    return say(args, msgspec.to_builtins(told), "\n".join(lines))


def run_expire(args: argparse.Namespace) -> int:
    """Run twice, nothing more."""
    _, engine = open_office(args)
    now_ms = CLOCK.wall_ms()
    on = args.on or due_on(now_ms)
    done = expire(engine, on, now_ms, RANDOMNESS)
    data = {"on": on.isoformat(), "accounts": done.accounts, "points": done.points}
    return say(args, data, f"Run of {on}: {done.points} points of {done.accounts} accounts have lapsed.")


def run_free(args: argparse.Namespace) -> int:
    """The code is asked for, so that it stands in no list of commands."""
    settings, engine = open_office(args)
    with reading(engine) as tx:
        by, keys = person_named(tx, args.by), ring_of(settings, RANDOMNESS).read(tx)
    code, now_ms = secret("Code: "), CLOCK.wall_ms()
    # Whichever card key it was named under, by however many tills.
    names = [code_token(one.secret, code) for one in keys.keys]
    freed = [free_certificate(engine, name, utc_date(now_ms), by.login, now_ms, RANDOMNESS) for name in names]
    done = any(freed)
    return say(args, {"freed": done}, "It may be used again." if done else "No such certificate is blocked.")


def run_open_balances(args: argparse.Namespace) -> int:
    """What was read is kept, so that what is approved is what was asked."""
    settings, engine = open_office(args)
    file, now_ms = read_bytes(args.file), CLOCK.wall_ms()
    ring = ring_of(settings, RANDOMNESS)
    with writing(engine) as tx:
        programme = current_programme(tx)
        if programme is None:
            raise BadFile("Publish a programme first: it says which numbers are cards.")
        opening = read_opening(tx, file, programme.cards, ring.read(tx), utc_date(now_ms))
        keep_opening(tx, opening, now_ms)
    wish = OpeningWish(
        file_id=opening.file_id,
        rows_id=opening.rows_id,
        scheme=args.scheme,
        accounts=len(opening.rows),
        note=args.note,
    )
    return ask_or_preview(args, wish)


def run_leave(args: argparse.Namespace) -> int:
    """Its points stay good, and it owes for them, until they lapse or are spent."""
    if args.expire_on:
        wish = EndingWish(last_day=args.expire_on, reason="partner_leaves", issuer_id=args.partner, note=args.note)
        return ask_or_preview(args, wish)
    _, engine = open_office(args)
    with reading(engine) as tx:
        rows = outstanding(tx, args.partner)
    points = sum(one.points for one in rows)
    owed = sum(one.points * one.per_point_micro for one in rows)
    data = {"partner_id": args.partner, "points": points, "owed_at_most_micro": owed, "lots": msgspec.to_builtins(rows)}
    lines = [f"Members hold {points} points of {args.partner}. If all are spent it still owes {owed} micro-units."]
    lines += [f"{one.points:>10} points of {one.accounts} accounts, good through {one.valid_through}, terms"
              f" {one.terms_id}, {one.per_point_micro} micro each" for one in rows]  # fmt: skip
    return say(args, data, "\n".join(lines))


def run_end_programme(args: argparse.Namespace) -> int:
    """Once it is approved all points get this last day at most; the usual run lets them lapse after it."""
    return ask_or_preview(args, EndingWish(last_day=args.last_day, reason="programme_ends", note=args.note))


def _lines(entry: Entry) -> list[str]:
    place = f" at {entry.store_id}" if entry.store_id else ""
    why = f" ({entry.reason}, {entry.asked_by}{' and ' + entry.approved_by if entry.approved_by else ''})"
    head = f"{entry.version:>5}  {entry.business_date}  {entry.kind:<14} {entry.receipt_id}{place}"
    lines = [f"{head}{why if entry.reason else ''}: {entry.step:+}, balance {entry.balance}"]
    for one in entry.movements:
        settles = f" for {one.for_event}" if one.for_event else ""
        lines.append(f"         {one.points} {one.source} to {one.target}, {one.key.issuer_id}, good through"
                     f" {one.key.valid_through}{settles}")  # fmt: skip
    lines += [f"         {points} by {name}" for name, points in entry.promotions]
    return lines
