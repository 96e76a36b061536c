"""`tallypoint edge`: enrol a till, run it, ask how it is and what is wrong with it."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import requests

from edge.doctor import Examined, examine
from edge.key_files import KeyFiles
from edge.line.enrol import enrol
from edge.ports import Settings, SystemClock, read_settings
from edge.service import run_till
from edge.web.health import our_version
from loyalty.trouble import Fault, Refusal
from sync.enrolment import comparison_code
from sync.tickets import read_ticket
from sync.transport import exchange, new_session
from sync.wire import Answer
from tallypoint.doctor_report import report
from tallypoint.edge.bundle import make_bundle
from tallypoint.edge.files import add_files
from tallypoint.edge.readers import add_readers
from tallypoint.edge.supervisor import add_supervisor
from tallypoint.logs import keep_log

ENROL_DEADLINE_MS = 20_000


class TillSilent(Fault):
    code = "edge.not_running"


class OtherCentre(Refusal):
    code = "enrol.other_centre"
    status = 422


def register(commands: Any) -> None:
    """Add `edge enrol`, `serve`, `status`, `doctor`, `bundle`, and those of `files` and `readers`."""
    edge = commands.add_parser("edge", help="the till service")
    actions = edge.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("enrol", help="claim a place at head office with a one-time code")
    new.add_argument("--code", default="", help="as head office showed it")
    new.add_argument("--fingerprint", default="", help="of head office's key, shown beside the code")
    new.add_argument("--ticket", default="", help="both in one, as head office's QR code has them; - reads a scanner")
    new.add_argument("--again", action="store_true", help="replace the identity this till has")
    new.set_defaults(run=run_enrol)
    serve = actions.add_parser("serve", help="run the till service until it is stopped")
    serve.set_defaults(run=run_serve)
    status = actions.add_parser("status", help="what the running till says of itself")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=run_status)
    doctor = actions.add_parser("doctor", help="what is wrong and what to do, worst first; exit 1 when anything is")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=run_doctor)
    bundle = actions.add_parser("bundle", help="a ZIP file for whoever helps, with nothing of a person")
    bundle.add_argument("--to", type=Path, required=True, help="the file to write")
    bundle.set_defaults(run=run_bundle)
    add_supervisor(actions)
    rotate = actions.add_parser("rotate-key", help="make this till a new key; head office takes it at the next contact")
    rotate.set_defaults(run=run_rotate_key)
    for action in (new, serve, status, doctor, bundle, rotate, *add_files(actions), *add_readers(actions)):
        action.add_argument("--settings", type=Path, help="TOML or YAML; TALLYPOINT_TILL_<NAME> overrules it")


def run_enrol(args: argparse.Namespace) -> int:
    """Enrol this till; the same code again after a lost answer gives the same identity."""
    settings = _settings(args)
    code, shown = args.code, args.fingerprint
    if args.ticket:
        ticket = read_ticket(sys.stdin.readline() if args.ticket == "-" else args.ticket)
        code, shown = ticket.code, ticket.fpr
        if ticket.url and ticket.url.rstrip("/") != settings.centre_url.rstrip("/"):
            raise OtherCentre(f"The ticket is of {ticket.url}; set centre_url to it, or ask for another ticket.")
    if not (code and shown):
        raise OtherCentre("Give --ticket, or both --code and --fingerprint, as head office showed them.")
    session = new_session(settings.centre_ca)

    def over_the_line(url: str, body: bytes) -> Answer:
        return exchange(session, url, body, ENROL_DEADLINE_MS)

    identity = enrol(
        settings,
        SystemClock(),
        code=code,
        fingerprint=shown,
        exchange=over_the_line,
        random_bytes=os.urandom,
        again=args.again,
    )
    place = f"{identity.label} of store {identity.store_id}"
    print(f"Enrolled as {place}: till {identity.till_id}, epoch {identity.epoch}.")
    compared = comparison_code(identity.signer.public, identity.granted.centre_public_key)
    print(f"Comparison code {compared}: `central status` must show the same, or somebody stands between you.")
    return 0


def run_serve(args: argparse.Namespace) -> int:
    """Run the till service; it stops cleanly on SIGTERM or Ctrl-C."""
    settings = _settings(args)
    keep_log(settings.log_dir, "till", settings.log_days)
    run_till(settings)
    return 0


def run_rotate_key(args: argparse.Namespace) -> int:
    """Make a new key beside the present one, whether the service runs or not; twice before it is taken is once."""
    KeyFiles(_settings(args).folder, os.urandom).make_next()
    print("A new key waits. Head office takes it at the next contact, and the present one counts no further then.")
    return 0


def run_status(args: argparse.Namespace) -> int:
    """Print the status of the till that runs under these settings."""
    said = _status(_settings(args))
    if args.json:
        print(json.dumps(said, indent=2))
    else:
        for name, value in said.items():
            print(f"{name:<20} {value}")
    return 0


def run_doctor(args: argparse.Namespace) -> int:
    """Look at the till's files, and at its service where it runs; changes nothing."""
    said, _ = _examined(_settings(args))
    return report(said.facts, said.ailments, is_ill=said.is_ill, as_json=args.json)


def run_bundle(args: argparse.Namespace) -> int:
    """Gather what whoever helps needs; changes nothing."""
    settings = _settings(args)
    said, status = _examined(settings)
    figures = _ask(settings, "/metrics").text if status is not None else ""
    make_bundle(args.to, settings, said, status, figures)
    print(f"{args.to} is written. Look into it before you send it.")
    return 0


def _examined(settings: Settings) -> tuple[Examined, dict[str, Any] | None]:
    """What the doctor says, and what the service says where it runs."""
    status, silence = None, ""
    try:
        status = _status(settings)
    except TillSilent as trouble:
        silence = trouble.say
    now_ms = SystemClock().now().wall_ms
    return examine(settings, now_ms, status, version=our_version(), silence=silence), status


def _status(settings: Settings) -> dict[str, Any]:
    """What the running till says of itself. Raises: TillSilent."""
    answer = _ask(settings, "/v1/status")
    try:
        said = answer.json()
    except requests.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or "stream" not in said:
        raise TillSilent(f"What answers at {answer.url} is no till: another program has its port.")
    return said


def _ask(settings: Settings, path: str) -> requests.Response:
    """An answer of the running till. Raises: TillSilent."""
    host = f"[{settings.listen_host}]" if ":" in settings.listen_host else settings.listen_host
    url = f"http://{host}:{settings.listen_port}{path}"
    headers = {"Authorization": f"Bearer {settings.pos_token}"} if settings.pos_token else {}
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the shop's does not know this machine's own port
            answer = session.get(url, headers=headers, timeout=5)
    except requests.Timeout:
        raise TillSilent(f"What runs at {url} gives no answer within 5 s; start it anew.") from None
    except requests.RequestException:
        raise TillSilent(f"No till answers at {url}; start it with `tallypoint edge serve`.") from None
    if not answer.ok:
        raise TillSilent(
            f"What answers at {url} says HTTP status {answer.status_code}: a till in trouble, one that runs with"
            " another pos_token, or another program on its port."
        )
    return answer


def _settings(args: argparse.Namespace) -> Settings:
    return read_settings(args.settings, os.environ)
