"""`tallypoint central doctor`: what is wrong with head office and what to do, worst first."""

import argparse

from central.ports import open_engine
from central.upkeep.doctor import examine_at_rest
from tallypoint.central.office import CLOCK, Adder, find_office
from tallypoint.doctor_report import report


def add_doctor(action: Adder) -> None:
    """Add `doctor`."""
    action("doctor", run_doctor, "what is wrong and what to do, worst first; exit 1 when anything is")


def run_doctor(args: argparse.Namespace) -> int:
    """Changes nothing; may run beside the service, and when it does not start."""
    settings = find_office(args)
    engine = open_engine(settings.url)
    said = examine_at_rest(settings, engine, CLOCK.wall_ms())
    engine.dispose()
    return report(said.facts, said.ailments, is_ill=said.is_ill, as_json=args.json)
