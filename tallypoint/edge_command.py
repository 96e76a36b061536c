"""`tallypoint edge`: enrol a till, run it, ask how it is."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import requests

from edge.enrol import enrol
from edge.ports import Settings, SystemClock, read_settings
from edge.service import run_till
from loyalty.trouble import Fault
from sync.enrolment import comparison_code
from sync.transport import exchange, new_session
from sync.wire import Answer

ENROL_DEADLINE_MS = 20_000


class TillSilent(Fault):
    code = "edge.not_running"


def register(commands: Any) -> None:
    """Add `edge enrol`, `edge serve`, `edge status`."""
    edge = commands.add_parser("edge", help="the till service")
    actions = edge.add_subparsers(dest="action", required=True, metavar="ACTION")
    new = actions.add_parser("enrol", help="claim a place at head office with a one-time code")
    new.add_argument("--code", required=True, help="as head office showed it")
    new.add_argument("--fingerprint", required=True, help="of head office's key, shown beside the code")
    new.add_argument("--again", action="store_true", help="replace the identity this till has")
    new.set_defaults(run=run_enrol)
    serve = actions.add_parser("serve", help="run the till service until it is stopped")
    serve.set_defaults(run=run_serve)
    status = actions.add_parser("status", help="what the running till says of itself")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=run_status)
    for action in (new, serve, status):
        action.add_argument("--settings", type=Path, help="TOML or YAML; TALLYPOINT_TILL_<NAME> overrules it")


def run_enrol(args: argparse.Namespace) -> int:
    """Enrol this till; the same code again after a lost answer gives the same identity."""
    settings = _settings(args)
    session = new_session()

    def over_the_line(url: str, body: bytes) -> Answer:
        return exchange(session, url, body, ENROL_DEADLINE_MS)

    identity = enrol(
        settings,
        SystemClock(),
        code=args.code,
        fingerprint=args.fingerprint,
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
    run_till(_settings(args))
    return 0


def run_status(args: argparse.Namespace) -> int:
    """Print the status of the till that runs under these settings."""
    settings = _settings(args)
    url = f"http://{settings.listen_host}:{settings.listen_port}/v1/status"
    headers = {"Authorization": f"Bearer {settings.pos_token}"} if settings.pos_token else {}
    try:
        said = requests.get(url, headers=headers, timeout=5).json()
    except requests.RequestException:
        raise TillSilent(f"No till answers at {url}; start it with `tallypoint edge serve`.") from None
    if args.json:
        print(json.dumps(said, indent=2))
    else:
        for name, value in said.items():
            print(f"{name:<20} {value}")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    return read_settings(args.settings, os.environ)
