"""`tallypoint central backup` and `restore`."""

import argparse
import getpass
import sys
from pathlib import Path

import msgspec

from central.backups.backups import make_backup
from central.backups.old_backups import forget_backups, forget_cut_short
from central.backups.restoring_backups import restore_backup
from loyalty.trouble import Refusal
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say, secret, settings_of
from tallypoint.files import read_text

NEXT = """Next:
  1. put the settings file back; on PostgreSQL: tallypoint central rights ROLE, for the role that serves;
  2. do again what was done since: block cards, revoke tills (tallypoint central revoke), and load the coalition file
     where terms came, for later they are refused; then tallypoint central serve (and worker, where it is apart);
  3. tills send again what is missing of theirs by themselves; wait until `central status` shows no backlog;
  4. tallypoint central verify; then the worklist: enrolment_lost are tills that were enrolled since, which wait for
     tallypoint central resume or revoke; block_lost says how much of head office's own facts is gone."""


class NotTheSame(Refusal):
    code = "backup.passphrase_mistyped"
    status = 422


def add_backups(action: Adder) -> None:
    """Add `backup` and `restore`."""
    backup = action("backup", run_backup, "copy database and keys into a new folder, sealed under a passphrase")
    backup.add_argument("--to", type=Path, required=True, help="folder of backups, on another disk")
    backup.add_argument(
        "--keep-days", type=_days, help="then delete backups there that are older, but the newest; without it all stay"
    )
    restore = action("restore", run_restore, "put a backup back into an empty folder or database")
    restore.add_argument("--from", dest="backup", type=Path, required=True, help="the folder of one backup")
    for one in (backup, restore):
        one.add_argument("--passphrase-file", type=Path, help="its first line is the passphrase; else it is asked")


def run_backup(args: argparse.Namespace) -> int:
    """Head office may go on serving meanwhile."""
    settings, engine = open_office(args)
    passphrase = _passphrase(args, twice=True)
    now_ms = CLOCK.wall_ms()
    folder, manifest = make_backup(settings, engine, args.to, passphrase, randomness=RANDOMNESS, now_ms=now_ms)
    forget_cut_short(settings.folder, args.to, now_ms)
    gone = forget_backups(args.to, args.keep_days, now_ms) if args.keep_days else ()
    size = sum(part.bytes for part in manifest.parts)
    return say(
        args,
        {"folder": str(folder), "deleted": list(gone), **msgspec.to_builtins(manifest)},
        f"{folder}: {size:,} bytes, through block {manifest.block_no}. Keep the passphrase somewhere else."
        + (f" Deleted: {', '.join(gone)}." if gone else ""),
    )


def run_restore(args: argparse.Namespace) -> int:
    """Says what to do next."""
    manifest, now = restore_backup(settings_of(args), args.backup, _passphrase(args), now_ms=CLOCK.wall_ms())
    sentence = f"Restored through block {manifest.block_no}; generation {now} begins.\n{NEXT}"
    return say(args, {"generation": now, **msgspec.to_builtins(manifest)}, sentence)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 3_650):
        raise argparse.ArgumentTypeError("a number of days, 1 to 3650")
    return int(text)


def _passphrase(args: argparse.Namespace, *, twice: bool = False) -> str:
    if args.passphrase_file:
        return read_text(args.passphrase_file).split("\n")[0]
    told = secret("Passphrase of the backup: ")
    if twice and sys.stdin.isatty() and getpass.getpass("Once more: ") != told:
        raise NotTheSame("These are two different passphrases; nothing was done. Do it again.")
    return told
