"""`tallypoint central people-key`: make a new key of personal data, see who has it, retire an old one."""

import argparse
from typing import Any

import msgspec

from central.keys.people_keys import PeopleRing, make_people_key, people_files
from central.members.people_change import PeopleKeyStanding, people_standing, retire_people_key
from central.ports import reading
from tallypoint.central.card_keys import state_of, tills_of
from tallypoint.central.office import CLOCK, RANDOMNESS, adder, open_office, say


def add_people_keys(actions: Any) -> None:
    """Add `people-key new`, `list` and `retire`."""
    about = "the keys that personal data is kept under: make a new one, see how far it is, retire an old one"
    action = adder(actions.add_parser("people-key", help=about).add_subparsers(dest="what", required=True))
    action("new", run_new, "make another key; the worker puts everybody under it, tills hear it with their next hello")
    action("list", run_list, "the keys, how many people each keeps, and which tills seal to the newest")
    retire = action("retire", run_retire, "let nothing be kept under an old key any more")
    retire.add_argument("key", help="its id, as `list` shows it")
    retire.add_argument("--force", action="store_true", help="although tills do not seal to the newest yet")


def run_new(args: argparse.Namespace) -> int:
    """Everything is written under it at once."""
    settings, engine = open_office(args)
    key_id = make_people_key(settings, engine, RANDOMNESS, CLOCK.wall_ms())
    told = f"Key {key_id} of personal data is made. The worker puts everybody under it. Back it up now."
    return say(args, {"key_id": key_id}, told)


def run_list(args: argparse.Namespace) -> int:
    """What is left to do before an old key can go."""
    settings, engine = open_office(args)
    with reading(engine) as tx:
        told = people_standing(tx, PeopleRing(*people_files(settings, RANDOMNESS)))
    return say(args, {"keys": msgspec.to_builtins(told)}, "\n".join(map(_line, told)))


def run_retire(args: argparse.Namespace) -> int:
    """Refused while anybody is kept under it; says how many."""
    settings, engine = open_office(args)
    ring = PeopleRing(*people_files(settings, RANDOMNESS))
    retire_people_key(engine, ring, args.key, CLOCK.wall_ms(), force=args.force)
    told = f"Key {args.key} of personal data is retired. Its file stays, for what tills sealed to it before."
    return say(args, {"retired": args.key}, told)


def _line(one: PeopleKeyStanding) -> str:
    tills = f"; {tills_of(one, 'seal to')}" if one.is_newest else ""
    return f"Key {one.key_id} of personal data, {state_of(one)}: {one.people} people under it{tills}"
