"""`tallypoint edge export`, `import-ack` and `leave`: what a till does without its line, and at its end."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.folder import FolderLock
from edge.identity import TillIdentity, read_identity_file, write_durably
from edge.journal.journal import Journal, Kept
from edge.leaving import leave
from edge.line.enrol import JOURNAL_FILE
from edge.line.exporting import export, take_answers
from edge.ports import Settings, SystemClock, read_settings
from edge.service import NotEnrolled
from sync.transport import exchange, new_session
from sync.wire import Answer
from tallypoint.files import read_bytes

LEAVE_DEADLINE_MS = 20_000


def add_files(actions: Any) -> tuple[argparse.ArgumentParser, ...]:
    """Add the three actions; the caller adds what all actions of `edge` share."""
    out = actions.add_parser("export", help="write what head office has not acknowledged into a signed file")
    out.add_argument("--to", type=Path, required=True, help="the file to write; `central import` takes it")
    out.set_defaults(run=run_export)
    back = actions.add_parser("import-ack", help="take head office's answers to an exported file")
    back.add_argument("file", type=Path, help="as `central import` wrote it")
    back.set_defaults(run=run_import_ack)
    gone = actions.add_parser("leave", help="give this till's place back and destroy its keys and data")
    gone.add_argument("--exported", type=Path, help="the exported file that holds what is not acknowledged")
    gone.add_argument("--alone", action="store_true", help="without head office, which is told by a person")
    gone.set_defaults(run=run_leave)
    return out, back, gone


def run_export(args: argparse.Namespace) -> int:
    """Write the file; the service may go on selling meanwhile."""
    settings = _settings(args)
    made = export(settings.folder, _identity(settings), SystemClock().now().wall_ms)
    write_durably(args.to, made.data)
    people = f", who {made.people} new members are" if made.people else ""
    told = f"{args.to}: {made.events} events in {made.batches} batches{people}."
    print(f"{told} Head office: tallypoint central import FILE.")
    return 0


def run_import_ack(args: argparse.Namespace) -> int:
    """Keep what head office acknowledged; exit 1 where it kept something apart."""
    settings, data = _settings(args), read_bytes(args.file)
    lock = FolderLock(settings.folder)
    try:
        identity = _identity(settings)
        kept = Kept(days=settings.kept_days, events=settings.kept_events)
        journal = Journal.open(settings.folder / JOURNAL_FILE, identity, SystemClock(), kept)
        try:
            settled = take_answers(journal, identity, data, SystemClock().now().wall_ms)
        finally:
            journal.close()
    finally:
        lock.close()
    print(f"Head office has everything up to event {settled.acked_seq} of epoch {identity.epoch}.")
    if settled.people:
        print(f"It has answered for {settled.people} new members.")
    for code in settled.apart:
        print(f"One batch was not taken: {code}; a person there decides.")
    return 1 if settled.apart else 0


def run_leave(args: argparse.Namespace) -> int:
    """Leave head office and forget everything."""
    settings = _settings(args)
    exported = read_bytes(args.exported) if args.exported else None
    gone = leave(settings, SystemClock(), exchange=_line(settings), exported=exported, alone=args.alone)
    print(f"Till {gone.till_id} has left; its keys and data are destroyed.")
    if gone.to_come is None:
        print(f"Head office was not told: tallypoint central revoke {gone.till_id} --reason left.")
    elif gone.to_come:
        print(f"Head office waits for {gone.to_come} events in {args.exported}: bring it there before you delete it.")
    return 0


def _line(settings: Settings) -> Callable[[str, bytes], Answer]:
    session = new_session(settings.centre_ca)
    return lambda url, body: exchange(session, url, body, LEAVE_DEADLINE_MS)


def _identity(settings: Settings) -> TillIdentity:
    identity = read_identity_file(settings.folder)
    if identity is None:
        raise NotEnrolled(f"There is no till in {settings.folder}.")
    return identity


def _settings(args: argparse.Namespace) -> Settings:
    return read_settings(args.settings, os.environ)
