"""`tallypoint central`: new keys for head office and for tills, and keys that are worth nothing any more."""

import argparse

from central.coalition.slots import UnknownTillHere
from central.coalition.till_keys import revoke_key, want_new_key
from central.keys.centre_keys import OVERLAP_DAYS, rotate_centre_key
from central.ports import writing
from sync.enrolment import fingerprint
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say
from tallypoint.central.upkeep import till_named


def add_keys(action: Adder) -> None:
    """Add `rotate-key` and `revoke-key`."""
    rotate = action("rotate-key", run_rotate_key, "a new key for head office, or with --till for one till")
    rotate.add_argument("--till", default="", help="its id or its label; it makes the key itself, at its next contact")
    rotate.add_argument(
        "--overlap-days", type=int, default=OVERLAP_DAYS, help="for how long tills believe the old key beside the new"
    )
    revoke = action("revoke-key", run_revoke_key, "a key of a till that was stolen: what it signs is kept aside")
    revoke.add_argument("till", help="its id or its label")
    revoke.add_argument("--key", required=True, type=int, help="its number, as `central status --json` shows it")


def run_rotate_key(args: argparse.Namespace) -> int:
    """The service signs with the new key from its next start on."""
    settings, engine = open_office(args)
    if args.till:
        with writing(engine) as tx:
            till_id, _ = till_named(tx, args.till)
            want_new_key(tx, till_id)
        return say(args, {"asked": till_id}, f"Till {args.till} makes itself a new key at its next contact.")
    notice = rotate_centre_key(settings, engine, RANDOMNESS, CLOCK.wall_ms(), args.overlap_days)
    shown = fingerprint(notice.public)
    data = {"key_no": notice.key_no, "fingerprint": shown, "old_until_ms": notice.old_until_ms}
    told = f"Key {notice.key_no} is made. Restart head office to sign with it. Fingerprint for new tills: {shown}"
    return say(args, data, told)


def run_revoke_key(args: argparse.Namespace) -> int:
    """Where it is the till's present key, the till needs a new enrolment."""
    _, engine = open_office(args)
    with writing(engine) as tx:
        till_id, _ = till_named(tx, args.till)
        if not revoke_key(tx, till_id, args.key):
            raise UnknownTillHere(f"Till {args.till} has no key {args.key}.")
    return say(args, {"revoked": args.key}, f"Key {args.key} of till {args.till} is revoked.")
