"""What every action of `tallypoint central` shares: its arguments, the office it opens, and how it answers."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, make_url

from central.migrations import check_made, upgrade
from central.ports import Settings, SystemClock, SystemRandomness, open_engine, reach, read_settings
from loyalty.trouble import Refusal

CLOCK, RANDOMNESS = SystemClock(), SystemRandomness()
Run = Callable[[argparse.Namespace], int]
Adder = Callable[[str, Run, str], argparse.ArgumentParser]


class NoOffice(Refusal):
    code = "central.not_here"
    status = 404


def adder(actions: Any) -> Adder:
    """A function that adds an action by name, what it runs, and what it is about."""

    def add(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=about)
        parser.add_argument("--data", type=Path, help="folder of head office (default: central-data)")
        parser.add_argument("--settings", type=Path, help="YAML; TALLYPOINT_CENTRAL_<NAME> overrules it")
        parser.add_argument("--json", action="store_true", help="print data instead of a sentence")
        parser.set_defaults(run=run)
        return parser

    return add


def settings_of(args: argparse.Namespace) -> Settings:
    """Settings of file and environment; `--data` wins."""
    settings = read_settings(args.settings, os.environ)
    return msgspec.structs.replace(settings, data_dir=str(args.data)) if args.data else settings


def open_office(args: argparse.Namespace) -> tuple[Settings, Engine]:
    """Settings, and the database at the newest schema.

    Raises:
        NoOffice, SchemaMissing: there is none; and none is made, for in a wrong folder nothing would ever be wrong.
        DatabaseAway; and as `upgrade`.
    """
    settings = find_office(args)
    engine = open_engine(settings.url)
    reach(engine)
    check_made(engine)
    upgrade(engine)
    return settings, engine


def make_office(args: argparse.Namespace) -> tuple[Settings, Engine]:
    """The same, made where there is none."""
    settings = settings_of(args)
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = open_engine(settings.url)
    reach(engine)
    upgrade(engine)
    return settings, engine


def find_office(args: argparse.Namespace) -> Settings:
    """Settings of a head office that has its folder, and its file where the database is one. Raises: NoOffice."""
    settings = settings_of(args)
    wanted = [settings.folder]
    if settings.url.startswith("sqlite"):
        wanted.append(Path(make_url(settings.url).database or ""))
    for path in wanted:
        if not path.exists():
            raise NoOffice(
                f"There is no head office here: {path} does not exist. Name its folder with --data, or its settings"
                " with --settings; `tallypoint central init` makes a new one."
            )
    return settings


def say(args: argparse.Namespace, data: Any, sentence: str) -> int:
    """Print data or a sentence; exit status 0."""
    print(json.dumps(data) if args.json else sentence)
    return 0


def secret(prompt: str) -> str:
    """What must not stand in a shell's history: asked without echo, or the first line of standard input."""
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
