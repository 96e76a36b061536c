"""`tallypoint central`: set head office up, run it, close periods, verify the books.

Each action opens the same database as the running service, for one short transaction.
"""

import argparse
import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from central.coalition import periods, registry, slots
from central.coalition.programmes import current_programme, publish
from central.coalition.tickets import ticket_ansi
from central.console.overview import overview
from central.keys.card_keys import ring_of
from central.keys.centre_keys import centre_keys, centre_signer
from central.login import create_user, unlock
from central.members.members import FACTS, import_members
from central.ports import read_key, reading, writing
from central.service import run_central
from central.settlement import closing
from central.streams.sealing import Sealer
from central.verify.books import verify_books
from central.worker import run_worker
from loyalty.trouble import Refusal
from sync.enrolment import comparison_code, fingerprint
from sync.tickets import show_ticket
from tallypoint.central.accounts import add_accounts
from tallypoint.central.alerts import add_alerts
from tallypoint.central.backup import add_backups
from tallypoint.central.bundle import add_bundle
from tallypoint.central.card_keys import add_card_keys
from tallypoint.central.corrections import add_corrections
from tallypoint.central.doctor import add_doctor
from tallypoint.central.imports import add_import
from tallypoint.central.keys import add_keys
from tallypoint.central.members import add_members
from tallypoint.central.office import CLOCK, RANDOMNESS, adder, make_office, open_office, say, secret, settings_of
from tallypoint.central.people_keys import add_people_keys
from tallypoint.central.quarantine import add_quarantine
from tallypoint.central.upkeep import Lane, add_upkeep, lane_named
from tallypoint.files import BadFile, read_text
from tallypoint.logs import keep_log


class WhichTill(Refusal):
    code = "central.which_till"
    status = 422


def register(commands: Any) -> None:
    """Add the actions of `central`."""
    central = commands.add_parser("central", help="head office")
    actions = central.add_subparsers(dest="action", required=True, metavar="ACTION")

    action = adder(actions)
    action("init", run_init, "make keys and database, print the fingerprint that tills check")
    serve = action("serve", run_serve, "run head office until it is stopped")
    serve.add_argument("--port", type=int)
    serve.add_argument("--no-chores", action="store_true", help="answer only; `central worker` keeps house")
    worker = action("worker", run_worker_here, "keep house beside servers that only answer, until it is stopped")
    worker.add_argument("--wait", action="store_true", help="where another one does it already, take over when it ends")
    action("coalition", run_coalition, "load partners, stores and terms").add_argument("file", type=Path)
    action("publish", run_publish, "check a programme and publish it to all tills").add_argument("file", type=Path)
    action("members", run_members, "load members and their cards from a CSV file").add_argument("file", type=Path)
    slot = action("slot", run_slot, "a one-time code for a new till, or for a new machine of one")
    slot.add_argument("--store", default="", help="of a new till; with --till, where it moves to")
    slot.add_argument("--label", default="", help="of a new till; with --till, its new one")
    slot.add_argument("--till", default="", help="id or label of the till that gets a new machine")
    user = action("user", run_user, "a person who may log in; the password is asked, or read from standard input")
    user.add_argument("--login", required=True)
    user.add_argument("--role", required=True, choices=("head_office", "partner_finance"))
    user.add_argument("--partner", default="")
    free = action("unlock", run_unlock, "end the wait of a login after too many wrong passwords")
    free.add_argument("--login", required=True)
    close = action("close", run_close, "close the open period and issue its statements")
    close.add_argument("--through", required=True, type=date.fromisoformat, help="its last business date, YYYY-MM-DD")
    close.add_argument(
        "--period", type=int, help="one that is closed: say again what was issued, or go on where that was cut short"
    )
    add_upkeep(action)
    add_backups(action)
    add_import(action)
    add_doctor(action)
    add_bundle(action)
    add_alerts(action)
    add_corrections(action)
    add_accounts(action)
    add_members(action)
    add_quarantine(action)
    add_keys(action)
    add_card_keys(actions)
    add_people_keys(actions)
    action("verify", run_verify, "rebuild the books from evidence; exit 1 when anything differs")
    action("status", run_status, "tills, worklist, what is still to be recomputed")


def run_init(args: argparse.Namespace) -> int:
    """Keys, schema and fingerprint; again changes nothing."""
    settings, engine = make_office(args)
    signer = centre_signer(settings, engine, RANDOMNESS)
    for name in (settings.card_key, settings.person_key):
        read_key(settings.folder / name, RANDOMNESS)
    shown = fingerprint(signer.public)
    engine.dispose()
    return say(args, {"fingerprint": shown}, f"Head office is set up. Fingerprint of its key: {shown}")


def run_serve(args: argparse.Namespace) -> int:
    """Run head office; it stops cleanly on SIGTERM or Ctrl-C."""
    settings = settings_of(args)
    changes: dict[str, Any] = {"listen_port": args.port} if args.port else {}
    if args.no_chores:
        changes["chores"] = False
    settings = msgspec.structs.replace(settings, **changes)
    keep_log(settings.log_dir, f"serve-{settings.listen_port}", settings.log_days)
    run_central(settings)
    return 0


def run_worker_here(args: argparse.Namespace) -> int:
    """Keep house; it stops cleanly on SIGTERM or Ctrl-C, and goes on where it was when it is started again."""
    settings = settings_of(args)
    keep_log(settings.log_dir, "worker", settings.log_days)
    run_worker(settings, wait=args.wait)
    return 0


def run_coalition(args: argparse.Namespace) -> int:
    """Load a coalition file; the same file again changes nothing."""
    try:
        document = yaml.safe_load(read_text(args.file))
    except yaml.YAMLError as trouble:
        raise BadFile(f"{args.file} is not YAML: {trouble}") from None
    _, engine = make_office(args)
    with writing(engine) as tx:
        loaded = registry.load_coalition(tx, document or {}, CLOCK.wall_ms())
    return say(args, {"partners": len(loaded.partners)}, f"{len(loaded.partners)} partners in {loaded.currency}.")


def run_publish(args: argparse.Namespace) -> int:
    """Publish a programme."""
    text = read_text(args.file)
    _, engine = open_office(args)
    with writing(engine) as tx:
        told = publish(tx, text, CLOCK.wall_ms(), by="command line")
    return say(args, {"version": told.version}, f"Published as version {told.version}")


def run_members(args: argparse.Namespace) -> int:
    """Load members; a row whose card is known already changes nothing."""
    settings, engine = open_office(args)
    ring = ring_of(settings, RANDOMNESS)
    table = csv.DictReader(read_text(args.file).removeprefix("\ufeff").splitlines())  # a mark that Excel writes
    if "card" not in (table.fieldnames or ()):
        raise BadFile(
            f"{args.file} has no column `card`. Name the columns in its first line, parted by commas:"
            f" card,{','.join(FACTS)}."
        )
    rows = list(table)
    with writing(engine) as tx:
        programme = current_programme(tx)
        if programme is None:
            raise BadFile("Publish a programme first: it says which numbers are cards.")
        done = import_members(
            tx, rows, rules=programme.cards, keys=ring.read(tx), randomness=RANDOMNESS, now_ms=CLOCK.wall_ms()
        )
    aside = "".join(f"\nline {line}: {why}" for line, why in done.set_aside)
    told = f"{done.made} members; {len(done.set_aside)} rows set aside."
    told += f" {done.named} cards known before got a name under a newer card key." if done.named else ""
    return say(args, msgspec.to_builtins(done), told + aside)


def run_slot(args: argparse.Namespace) -> int:
    """A one-time code, shown once."""
    if not (args.till or (args.store and args.label)):
        raise WhichTill("Give --store and --label of a new till, or --till of the one that gets a new machine.")
    settings, engine = open_office(args)
    signer = centre_signer(settings, engine, RANDOMNESS)
    with writing(engine) as tx:
        lane = lane_named(tx, args.till) if args.till else Lane(till_id="", epoch=0, store_id="", label="")
        slot = slots.open_slot(
            tx, RANDOMNESS, store_id=args.store or lane.store_id, label=args.label or lane.label,
            now_ms=CLOCK.wall_ms(), till_id=lane.till_id,
        )  # fmt: skip
    shown = fingerprint(signer.public)
    ticket = show_ticket(slot.code, shown, settings.public_url)
    data = {"till_id": slot.till_id, "code": slot.code, "fingerprint": shown, "ticket": ticket}
    told = f"{ticket_ansi(ticket)}\nCode {slot.code}, good for a day, once.\nFingerprint {shown}\nTicket {ticket}"
    return say(args, data, told)


def run_user(args: argparse.Namespace) -> int:
    """Make a login."""
    password = secret("Password: ")
    _, engine = open_office(args)
    create_user(
        engine, login=args.login, password=password, role=args.role, partner_id=args.partner, now_ms=CLOCK.wall_ms()
    )
    return say(args, {"login": args.login}, f"{args.login} may log in as {args.role}.")


def run_unlock(args: argparse.Namespace) -> int:
    """Let a person try their password again; again changes nothing."""
    _, engine = open_office(args)
    person = unlock(engine, args.login)
    return say(args, {"login": person.login}, f"{person.login} may try the password again.")


def run_close(args: argparse.Namespace) -> int:
    """Close a period; a period that is closed says the same again."""
    settings, engine = open_office(args)
    signer = centre_signer(settings, engine, RANDOMNESS)
    with reading(engine) as tx:
        period_no = args.period or periods.open_period_no(tx)
    closed = closing.close_period(
        engine,
        period_no=period_no,
        through=args.through,
        now_ms=CLOCK.wall_ms(),
        seal=Sealer(engine, signer, CLOCK).seal,
    )
    netting = closed.netting
    positions = [{"partner_id": one.partner_id, "net_minor": one.amount_minor} for one in netting.positions]
    data = {
        "period_no": period_no,
        "currency": closed.currency,
        "positions": [*positions, {"partner_id": "operator", "net_minor": netting.operator_minor}],
        "payments": msgspec.to_builtins(netting.hub),
        "statements": msgspec.to_builtins(closed.statements),
    }
    issued = len(closed.statements)
    return say(args, data, f"Period {period_no} is closed through {closed.through}; {issued} statements are issued.")


def run_verify(args: argparse.Namespace) -> int:
    """Exit status 0 only when nothing is violated."""
    settings, engine = open_office(args)
    signer = centre_signer(settings, engine, RANDOMNESS)
    found = verify_books(engine, centre_keys(engine, signer))
    if args.json:
        print(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        print(f"{found.events} events in {found.batches} batches, {found.accounts} accounts, {found.blocks} blocks.")
        for one in found.violations:
            print(f"{one.code} {one.about}: wanted {one.wanted}, found {one.found}")
        print("Nothing is violated." if not found.violations else f"{len(found.violations)} violations.")
    return 1 if found.violations else 0


def run_status(args: argparse.Namespace) -> int:
    """Print tills and worklist."""
    settings, engine = open_office(args)
    signer = centre_signer(settings, engine, RANDOMNESS)
    with reading(engine) as tx:
        data = overview(tx)
    for row in data["tills"]:
        row["comparison"] = comparison_code(row["public"], signer.public) if row["public"] else "not enrolled"
    lines = [
        f"{row['store_id']:<12} {row['label']:<16} {row['state']:<12} {row['receipts']:>8} receipts,"
        f" backlog {row['backlog']}, missing {row['missing']}, comparison {row['comparison']}"
        for row in data["tills"]
    ]
    lines += [f"worklist: {cause} {count}" for cause, count in sorted(data["worklist"].items())]
    lines = lines or ["No till yet, and an empty worklist."]
    lines.append(f"to be recomputed: {data['unchecked']}, to be told to tills: {data['unstamped']}")
    return say(args, data, "\n".join(lines))
