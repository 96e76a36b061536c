"""`tallypoint central import`: a till's export file, taken as if its line had brought it."""

import argparse
import os
from pathlib import Path

from central.intake.imports import import_file
from central.keys.centre_keys import centre_signer, notices
from central.ports import reading
from central.upkeep.keeping_house import open_store
from sync.centre_session import CentreSession
from tallypoint.central.office import CLOCK, RANDOMNESS, Adder, open_office, say
from tallypoint.files import BadFile, read_bytes


def add_import(action: Adder) -> None:
    """Add `import`."""
    taken = action("import", run_import, "take a till's exported file; its answers are written beside it, as FILE.ack")
    taken.add_argument("file", type=Path)


def run_import(args: argparse.Namespace) -> int:
    """Post what the file brings; again posts nothing. Exit 1 where something of it was kept apart."""
    data = read_bytes(args.file)
    settings, engine = open_office(args)
    signer = centre_signer(settings, engine, RANDOMNESS)
    with reading(engine) as tx:
        session = CentreSession(signer, RANDOMNESS.bytes, notices=notices(tx))
    done = import_file(
        data,
        session=session,
        store=open_store(settings, engine, RANDOMNESS),
        signer=signer,
        now_ms=CLOCK.wall_ms(),
    )
    beside = args.file.with_name(args.file.name + ".ack")
    _write(beside, done.answers)
    told = {"till_id": done.header.till_id, "taken": done.taken, "apart": done.apart, "answers": str(beside),
            "people": done.people, "people_wait": done.people_wait}  # fmt: skip
    apart = f"; {done.apart} are kept apart, see `central quarantine`" if done.apart else ""
    apart += f". Who {done.people} new members are is kept" if done.people else ""
    apart += f". Who {done.people_wait} new members are stays at the till for now" if done.people_wait else ""
    say(args, told, f"{done.taken} batches of till {done.header.till_id} are in the books{apart}. Answers: {beside}")
    return 1 if done.apart else 0


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all. Raises: BadFile."""
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    except OSError as trouble:
        raise BadFile(f"{path} cannot be written: {trouble}. Its batches are taken; import it again.") from None
