"""`tallypoint central card-key`: make a new card key, see who has it, retire an old one, name a card anew."""

import argparse
from typing import Any

import msgspec

from central.coalition.settings import get_setting
from central.keys.card_keys import make_card_key, ring_of
from central.members.card_change import KeyStanding, name_again, retire_card_key, standing
from central.members.people_change import PeopleKeyStanding
from central.ports import reading, writing
from loyalty.amounts import format_minor
from loyalty.moments import utc_date
from tallypoint.central.office import CLOCK, RANDOMNESS, adder, open_office, say
from tallypoint.central.upkeep import asked_card

SHOWN_TILLS = 20


def add_card_keys(actions: Any) -> None:
    """Add `card-key new`, `list`, `retire` and `name`."""
    about = "the keys that cards are known by: make a new one, see who has it, retire an old one"
    action = adder(actions.add_parser("card-key", help=about).add_subparsers(dest="what", required=True))
    action("new", run_new, "make another key; tills get it with their next hello")
    action("list", run_list, "the keys, which tills hold them, and how many cards have no newer name")
    retire = action("retire", run_retire, "let an old key name no card any more")
    retire.add_argument("key", help="its id, as `list` shows it")
    retire.add_argument("--force", action="store_true", help="although tills or cards are not through")
    action("name", run_name, "give a card its names under the keys in force; its number is asked")


def run_new(args: argparse.Namespace) -> int:
    """It is in force beside the others at once."""
    settings, engine = open_office(args)
    key_id = make_card_key(settings, engine, RANDOMNESS, CLOCK.wall_ms())
    told = f"Card key {key_id} is made. Tills get it with their next hello, within the hour. Back it up now."
    return say(args, {"key_id": key_id}, told)


def run_list(args: argparse.Namespace) -> int:
    """What is left to do before an old key can go."""
    settings, engine = open_office(args)
    with reading(engine) as tx:
        told = standing(tx, ring_of(settings, RANDOMNESS).read(tx))
        currency = get_setting(tx, "currency")
    lines = [_line(one, currency) for one in told.keys]
    if told.blocked_unknown:
        lines.append(f"{told.blocked_unknown} blocked cards are nobody's.")
    return say(args, msgspec.to_builtins(told), "\n".join(lines))


def run_retire(args: argparse.Namespace) -> int:
    """Without `--force` it says how many tills and cards are not through, and changes nothing."""
    settings, engine = open_office(args)
    stood = retire_card_key(engine, ring_of(settings, RANDOMNESS), args.key, CLOCK.wall_ms(), force=args.force)
    with reading(engine) as tx:
        currency = get_setting(tx, "currency")
    told = f"Card key {args.key} is retired. {stood.cards_without} cards have no newer name"
    told += "; tills do not know them until `card-key name`." if stood.cards_without else "."
    if stood.certificates:
        told += (
            f" {_certificates(stood, currency)} keep their names under it and pay on. Whoever has the key may try out"
            " their codes: where these can be guessed, sell new ones for them when they are shown."
        )
    figures = {"certificates": stood.certificates, "certificates_minor": stood.certificates_minor}
    return say(args, {"retired": args.key, "cards_without": stood.cards_without, **figures}, told)


def run_name(args: argparse.Namespace) -> int:
    """The number goes no further than its tokens."""
    settings, engine = open_office(args)
    with writing(engine) as tx:
        keys, read = ring_of(settings, RANDOMNESS).read(tx), asked_card(tx)
        account_id = name_again(tx, keys, read, RANDOMNESS, CLOCK.wall_ms())
    return say(args, {"account_id": account_id}, f"The card of account {account_id} is known to tills again.")


def state_of(one: KeyStanding | PeopleKeyStanding) -> str:
    """Whether a key is in force, and since when it is there."""
    state = "retired" if one.retired_ms else "newest" if one.is_newest else "in force"
    return state + (f", made {utc_date(one.made_ms).isoformat()}" if one.made_ms else "")


def tills_of(one: KeyStanding | PeopleKeyStanding, do: str) -> str:
    """How many tills do something with a key, and the first of those that do not."""
    told = f"{len(one.tills_with)} tills {do} it"
    if one.tills_without:
        more = " …" if len(one.tills_without) > SHOWN_TILLS else ""
        told += f", {len(one.tills_without)} do not: {', '.join(one.tills_without[:SHOWN_TILLS])}{more}"
    return told


def _line(one: KeyStanding, currency: str) -> str:
    cards = "" if one.is_newest else f"; {one.cards_without} cards have no newer name"
    named = f"; {_certificates(one, currency)} are named under it" if one.certificates else ""
    return f"Card key {one.key_id}, {state_of(one)}: {tills_of(one, 'hold')}{cards}{named}"


def _certificates(one: KeyStanding, currency: str) -> str:
    return f"{one.certificates} certificates with {format_minor(one.certificates_minor, currency)} {currency} left"
