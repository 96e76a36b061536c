"""`tallypoint central`, the rarer actions: cards blocked and served again, tills resumed, revoked, restores, rights."""

import argparse
from typing import NamedTuple

from sqlalchemy import Connection, select

from central.backups.restoring import note_restore
from central.coalition.programmes import current_programme
from central.coalition.slots import UnknownTillHere
from central.coalition.streams import resume_stream, revoke_till
from central.database.tables import till
from central.keys.card_keys import ring_of
from central.members.members import block_card, lift_blocks
from central.migrations import grant_rights
from central.ports import Settings, writing
from loyalty.cards.cards import Card, CardRules, read_card
from loyalty.trouble import Refusal
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say, secret


class NotOurCard(Refusal):
    code = "central.not_a_card"
    status = 422


class NoRoles(Refusal):
    code = "central.no_roles"


class NotStopped(Refusal):
    code = "central.till_not_stopped"


class Lane(NamedTuple):
    """A till, and where it stands."""

    till_id: str
    epoch: int
    store_id: str
    label: str


def add_upkeep(action: Adder) -> None:
    """Add `block`, `lift`, `resume`, `revoke`, `restored` and `rights`."""
    block = action("block", run_block, "put a card on the hotlist; its number is asked, or read from standard input")
    block.add_argument("--reason", required=True)
    action("lift", run_lift, "serve a blocked card again; its number is asked, or read from standard input")
    resume = action("resume", run_resume, "let a till that was stopped send again")
    revoke = action("revoke", run_revoke, "a stolen or retired till: what it sends is kept apart from now on")
    revoke.add_argument("--reason", required=True)
    for one in (resume, revoke):
        one.add_argument("till", help="its id or its label")
    action("restored", run_restored, "a backup was put back: tills begin anew with what this centre says")
    rights = action("rights", run_rights, "let a PostgreSQL role serve, without changing what is append-only")
    rights.add_argument("role")


def run_block(args: argparse.Namespace) -> int:
    """Tills hear of it with the next hotlist."""
    settings, engine = open_office(args)
    with writing(engine) as tx:
        names = ask_card(tx, settings)
        for name in names:
            block_card(tx, name, args.reason, CLOCK.wall_ms())
    return say(args, {"blocked": names[0]}, "The card is on the hotlist; no till serves it once it has heard.")


def run_lift(args: argparse.Namespace) -> int:
    """The opposite of `block`."""
    settings, engine = open_office(args)
    with writing(engine) as tx:
        names = ask_card(tx, settings)
        lift_blocks(tx, names, CLOCK.wall_ms())
    return say(args, {"lifted": names[0]}, "The card is served again.")


def run_resume(args: argparse.Namespace) -> int:
    """A person looked at why the till was stopped and decided that it goes on."""
    _, engine = open_office(args)
    with writing(engine) as tx:
        till_id, epoch = till_named(tx, args.till)
        if not resume_stream(tx, till_id, epoch):
            raise NotStopped(f"Till {args.till} is not stopped; `central status` shows the state of each.")
    return say(args, {"resumed": till_id}, f"Till {args.till} may send again.")


def run_revoke(args: argparse.Namespace) -> int:
    """Its uploads go to quarantine, and it hears nothing more."""
    _, engine = open_office(args)
    with writing(engine) as tx:
        till_id, _ = till_named(tx, args.till)
        revoke_till(tx, till_id, args.reason)
    return say(args, {"revoked": till_id}, f"Till {args.till} is revoked.")


def run_restored(args: argparse.Namespace) -> int:
    """Once after each restore, before the service starts."""
    _, engine = open_office(args)
    with writing(engine) as tx:
        now = note_restore(tx, CLOCK.wall_ms())
    return say(args, {"generation": now}, f"Generation {now} begins. Tills send again what is missing of theirs.")


def run_rights(args: argparse.Namespace) -> int:
    """Run it as the owner of the tables; the service then connects as the role."""
    _, engine = open_office(args)
    if engine.dialect.name != "postgresql":
        raise NoRoles("SQLite has no roles; its triggers keep what is append-only. Nothing needs to be done.")
    with writing(engine) as tx:
        grant_rights(tx, args.role)
    return say(args, {"role": args.role}, f"{args.role} may serve.")


def ask_card(tx: Connection, settings: Settings) -> tuple[str, ...]:
    """The names of a card whose number is asked for, under every key, oldest first; the number goes no further."""
    keys, card = ring_of(settings, RANDOMNESS).read(tx), asked_card(tx)
    return tuple(one.token for one in keys.every_name_of(card))


def asked_card(tx: Connection) -> Card:
    """A card whose number is asked for. Raises: NotOurCard."""
    programme = current_programme(tx)
    card = read_card(programme.cards if programme else CardRules(), secret("Card number: "))
    if not isinstance(card, Card):
        raise NotOurCard("This is no card of the published programme; check the number.")
    return card


def till_named(tx: Connection, name: str) -> tuple[str, int]:
    """Id and present epoch of a till. Raises: as `lane_named`."""
    lane = lane_named(tx, name)
    return lane.till_id, lane.epoch


def lane_named(tx: Connection, name: str) -> Lane:
    """A till by id or label; two tills of one label must be told apart by id. Raises: UnknownTillHere."""
    called = (till.c.till_id == name) | (till.c.label == name)
    found = tx.execute(select(till.c.till_id, till.c.epoch, till.c.store_id, till.c.label).where(called)).all()
    if len(found) != 1:
        raise UnknownTillHere(f"{len(found)} tills are called {name}; `central status --json` lists them by id.")
    return Lane._make(found[0])
