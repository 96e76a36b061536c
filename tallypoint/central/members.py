"""`tallypoint central`: erase a member, look at consents, confirm or withdraw one."""

import argparse
from pathlib import Path

import msgspec

from central.corrections.erasing import Erased, ask_leases_back, erase_member
from central.corrections.moving import PointsLeased
from central.intake.consents import confirm_by_code, consents_of, evidence_of, withdraw
from central.keys.card_keys import ring_of
from central.members.members import AccountClosed
from central.ports import reading, writing
from tallypoint.central.corrections import account_named
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say, secret
from tallypoint.files import read_bytes

ERASED_FILE = "erased-members"  # account numbers, one a line: to be erased again after an older backup was put back


def add_members(action: Adder) -> None:
    """Add `erase-member`, `consents`, `confirm-consent` and `withdraw-consent`."""
    erase = action("erase-member", run_erase, "erase who a member is and what leads to them; postings stay")
    erase.add_argument("account", nargs="?", default="", help="number of the account, or `card` to be asked for a card")
    erase.add_argument("--by", required=True, help="your login")
    erase.add_argument("--again", type=Path, metavar="FILE", help=f"all of an {ERASED_FILE} file, after a restore")
    consents = action("consents", run_consents, "the consents of a member, with their evidence")
    consents.add_argument("account", help="number of the account, or `card` to be asked for a card")
    action("confirm-consent", run_confirm, "a customer sent the code of a consent in; it is asked for")
    gone = action("withdraw-consent", run_withdraw, "a member told head office that they withdraw a consent")
    gone.add_argument("account")
    gone.add_argument("purpose")
    gone.add_argument("channel")


def run_erase(args: argparse.Namespace) -> int:
    """One member, or all of a file; what was erased before stays so."""
    settings, engine = open_office(args)
    if args.again:
        numbers = [int(line) for line in read_bytes(args.again).decode("ascii").split()]
    else:
        with reading(engine) as tx:
            numbers = [account_named(tx, settings, args.account)]
    done: list[Erased] = []
    for account_id in numbers:
        try:
            with writing(engine) as tx:
                done.append(erase_member(tx, account_id, by=args.by, now_ms=CLOCK.wall_ms(), randomness=RANDOMNESS))
        except PointsLeased:
            with writing(engine) as tx:
                ask_leases_back(tx, account_id, CLOCK.wall_ms())
            raise
        except AccountClosed:
            if not args.again:
                raise
    with (settings.folder / ERASED_FILE).open("a", encoding="ascii") as file:
        file.writelines(f"{one.account_id}\n" for one in done)
    sentences = [f"Account {one.account_id}: {one.cards} cards and {one.points} points are gone." for one in done]
    return say(args, msgspec.to_builtins(done), "\n".join(sentences) or "All of them were erased already.")


def run_consents(args: argparse.Namespace) -> int:
    """What stands, and everything that was said."""
    settings, engine = open_office(args)
    with reading(engine) as tx:
        account_id = account_named(tx, settings, args.account)
        now, evidence = consents_of(tx, account_id), evidence_of(tx, account_id)
    lines = [f"{one.purpose} by {one.channel}: {one.state}, text {one.version}" for one in now]
    lines += [
        f"  {one.what} {one.purpose} {one.channel}, text {one.version} {one.language}, {one.asked_on}, {one.store_id}"
        for one in evidence
    ]
    data = {"consents": msgspec.to_builtins(now), "evidence": msgspec.to_builtins(evidence)}
    return say(args, data, "\n".join(lines) or "Nothing was ever said about consent.")


def run_confirm(args: argparse.Namespace) -> int:
    """The code is asked for, so that no shell keeps it."""
    settings, engine = open_office(args)
    ring = ring_of(settings, RANDOMNESS)
    with writing(engine) as tx:
        now = confirm_by_code(tx, secret("Code: "), ring.read(tx), CLOCK.wall_ms(), RANDOMNESS)
    return say(args, msgspec.to_builtins(now), f"{now.purpose} by {now.channel} is {now.state}.")


def run_withdraw(args: argparse.Namespace) -> int:
    """It holds at once."""
    settings, engine = open_office(args)
    with writing(engine) as tx:
        account_id = account_named(tx, settings, args.account)
        withdraw(tx, account_id, args.purpose, args.channel, CLOCK.wall_ms(), RANDOMNESS)
    return say(args, {"account_id": account_id}, f"{args.purpose} by {args.channel} is withdrawn.")
