"""`tallypoint central doctor`: what is wrong with head office and what to do, worst first."""

import argparse

from central.upkeep.doctor import examine
from loyalty.trouble import Refusal
from tallypoint.central.office import CLOCK, Adder, open_office, settings_of
from tallypoint.doctor_report import report


class NoOffice(Refusal):
    code = "central.not_here"
    status = 404


def add_doctor(action: Adder) -> None:
    """Add `doctor`."""
    action("doctor", run_doctor, "what is wrong and what to do, worst first; exit 1 when anything is")


def run_doctor(args: argparse.Namespace) -> int:
    """Changes nothing; may run beside the service."""
    folder = settings_of(args).folder
    if not folder.is_dir():
        raise NoOffice(f"There is no head office in {folder}. Name its folder with --data, or --settings.")
    settings, engine = open_office(args)
    said = examine(settings, engine, CLOCK.wall_ms())
    engine.dispose()
    return report(said.facts, said.ailments, is_ill=said.is_ill, as_json=args.json)
