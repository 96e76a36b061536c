"""`tallypoint edge readers` and `edge decode`: what a reader sends, and what we make of it, to set a store up.

Of a payment card they say that there was one, and nothing else.
"""

import argparse
import json
import os
import queue
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.database import reading_only
from edge.identity import read_identity_file
from edge.line.enrol import CACHE_FILE
from edge.ports import ENVIRONMENT_PREFIX, Settings, read_settings
from edge.service import reader_profiles
from loyalty.cards.cards import CardRules, Outcome, WalletCheck
from loyalty.programme.programme import read_programme
from loyalty.trouble import BadInput, Fault
from pos_adapters.readers.decoding import Decoded, Glimpse, decode
from pos_adapters.readers.devices import check_apart
from pos_adapters.readers.framer import Frame
from pos_adapters.readers.port import ReaderLoop
from pos_adapters.readers.profile import Profile
from pos_adapters.readers.shipped import DEFAULT, make_profile, shipped_names
from tallypoint.files import read_bytes

LOOK_S = 0.2
MOST_WAITING = 256


class BadHex(BadInput):
    code = "command.bad_hex"


class NoReaders(Fault):
    code = "edge.no_readers"


def add_readers(actions: Any) -> tuple[argparse.ArgumentParser, ...]:
    """Add the two actions; the caller adds what all actions of `edge` share."""
    live = actions.add_parser("readers", help="show live what the readers send and what we make of it")
    live.add_argument("--port", default="", help="a port to listen to, instead of the readers of the settings")
    live.add_argument("--for", dest="seconds", type=float, default=0.0, help="end after so many seconds")
    live.set_defaults(run=run_readers)
    one = actions.add_parser("decode", help="what becomes of one input")
    one.add_argument("--hex", default="", help="the bytes as the reader sends them, 5D 45 30 …; - reads them")
    one.add_argument("--list", action="store_true", help="show the shipped profiles instead")
    one.set_defaults(run=run_decode)
    for action in (live, one):
        action.add_argument("--profile", default=DEFAULT, help="a shipped profile or a YAML file")
        action.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="overrule a field of it")
        action.add_argument("--programme", type=Path, help="whose cards are ours; without it, the till's")
        action.add_argument("--json", action="store_true", help="JSON, of `readers` a line for each message")
    return live, one


def run_decode(args: argparse.Namespace) -> int:
    """Read one input; exit 1 when there was no message in it."""
    if args.list:
        return _list(as_json=args.json)
    settings = _settings(args)
    profile = make_profile({"port": "-", "profile": args.profile, **_overrules(args.set)})
    text = sys.stdin.read() if args.hex == "-" else args.hex
    if not text.strip():
        raise BadHex("Give the bytes that the reader sends: --hex '5D 45 30 32 0D', or --hex - to read them.")
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise BadHex("Give bytes as pairs of hex digits, such as --hex '5D 45 30 32 0D'.") from None
    found, replies = decode(profile, _rules(args.programme, settings), data, _wallet(settings))
    if args.json:
        told = {"profile": args.profile, "messages": msgspec.to_builtins(found), "replies": replies.hex(" ").upper()}
        print(json.dumps(told, indent=2))
    else:
        for one in found:
            print(in_words(one))
        if replies:
            print(f"answer       {replies.hex(' ').upper()}")
        if not found:
            print("No message ends in these bytes. Check suffix and framing of the profile.")
    return 0 if found else 1


def run_readers(args: argparse.Namespace) -> int:
    """Listen until stopped, printing each message and each change of a reader."""
    settings = _settings(args)
    profiles = _profiles(args, settings)
    rules, wallet = _rules(args.programme, settings), _wallet(settings)
    said: queue.Queue[tuple[str, Decoded]] = queue.Queue(MOST_WAITING)
    watched = [Watched(profile, rules, wallet, said) for profile in profiles]
    until = time.monotonic() + args.seconds if args.seconds else None
    try:
        for one in watched:
            one.loop.start()
        while until is None or time.monotonic() < until:
            for one in watched:
                if (news := one.news()) is not None:
                    _say(one.name, "state", news, as_json=args.json)
                for lost in one.thrown_away():
                    _say(one.name, "thrown_away", lost, as_json=args.json)
            _print_waiting(said, as_json=args.json)
        _print_waiting(said, as_json=args.json)
    finally:
        for one in watched:
            one.loop.stop()
    # A port that was never there is nothing that worked.
    return 0 if any(one.loop.health().opened for one in watched) else 1


class Watched:
    """One reader that is listened to."""

    def __init__(
        self,
        profile: Profile,
        rules: CardRules,
        wallet: Callable[[], WalletCheck | None],
        said: "queue.Queue[tuple[str, Decoded]]",
    ) -> None:
        self.name = profile.name
        self._profile, self._said = profile, said
        self._glimpse: Glimpse | None = None
        self._told: tuple[str, str | None] | None = None
        self._thrown: dict[str, int] = {}
        self.loop = ReaderLoop(
            profile, rules, self._tell, wallet=wallet, on_frame=self._see, on_nothing=lambda: self._tell(None)
        )

    def news(self) -> str | None:
        """The state of the port in words, where it changed since the last time."""
        health = self.loop.health()
        told = (health.state, health.trouble if health.state == "down" else None)
        if told == self._told or (health.state == "down" and health.trouble is None):
            return None
        self._told = told
        if health.state != "down":
            return f"{health.state} on {self._profile.port}"
        return f"down: {port_trouble(self._profile.port, health.trouble)}"

    def thrown_away(self) -> list[str]:
        """In words what came since the last time and was no message, for then nothing else tells that it came."""
        before, self._thrown = self._thrown, dict(self.loop.health().rejects)
        lost = {reason: self._thrown.get(reason, 0) - before.get(reason, 0) for reason in _THROWN_AWAY}
        return [words.format(n=lost[reason]) for reason, words in _THROWN_AWAY.items() if lost[reason]]

    def _see(self, frame: Frame) -> None:
        self._glimpse = Glimpse(self._profile, frame)

    def _tell(self, outcome: Outcome | None) -> None:
        glimpse, self._glimpse = self._glimpse, None
        if glimpse is not None:
            self._said.put_nowait((self.name, glimpse.decoded(outcome)))


# What the system says of a port, and what a person does about it.
_PORT_TROUBLES = (
    ("exclusively lock", "Somebody has {port} open. Stop the till service first, which owns its readers."),
    ("No such file", "There is no {port}. Plug the reader in; /dev/serial/by-id names those that are there."),
    ("Permission denied", "This user may not open {port}. Add it to the group dialout, and log in anew."),
    ("Could not configure", "{port} is no serial port. /dev/serial/by-id names those that are there."),
    ("Is a directory", "{port} is no serial port. /dev/serial/by-id names those that are there."),
    ("no ports found", "No USB device is {port}. Plug the reader in; lsusb shows the numbers of those that are there."),
    ("Could not open port", "{port} does not answer. Look at the serial server, its cable and its address."),
    ("multiple access", "{port} was pulled out, or somebody else reads it too. Plug it in; only one may read."),
)
# By the framer's reason: what was no message, and where to look.
_THROWN_AWAY = {
    "outside": "{n} bytes that are in no message. Check framing and baud rate of the profile against the reader's.",
    "too_long": "A message without an end. Check suffix, framing and baud rate of the profile against the reader's.",
    "checksum": "{n} packets with a wrong checksum, asked for again. Check the cable and the baud rate.",
}


def port_trouble(port: str, said: str | None) -> str:
    """A sentence for whoever stands at the port; the system's own where we know no better."""
    known = next((words for mark, words in _PORT_TROUBLES if mark in (said or "")), None)
    return known.format(port=port) if known else f"{port}: {said}. Look at its cable; it is tried again by itself."


def in_words(one: Decoded) -> str:
    """A message on one or two lines."""
    printed = f", {one.alias} printed on it" if one.alias else ""
    about = {
        "card": f"{one.kind} {one.number}, shown as {one.assurance}{printed}",
        "code": f"{one.aim + ' ' if one.aim else ''}{one.text!r} goes to the POS",
        "rejected": f"{one.reason}: {one.say}",
        "payment_card": one.say,
        "unfinished": "cut short; check suffix and framing of reader and profile",
        "repeated": "the same again, not counted",
    }[one.outcome]
    hexed = f"\n{'':<13}{one.hex}" if one.hex else ""
    return f"{one.outcome:<13}{about} ({one.length} bytes){hexed}"


def _print_waiting(said: "queue.Queue[tuple[str, Decoded]]", *, as_json: bool) -> None:
    """Print what comes within LOOK_S."""
    until = time.monotonic() + LOOK_S
    while (left := until - time.monotonic()) > 0:
        try:
            name, one = said.get(timeout=left)
        except queue.Empty:
            return
        if as_json:
            print(json.dumps({"reader": name, **msgspec.to_builtins(one)}), flush=True)
        else:
            print(f"{time.strftime('%H:%M:%S')} {name:<12} {in_words(one)}", flush=True)


def _say(name: str, what: str, words: str, *, as_json: bool) -> None:
    line = json.dumps({"reader": name, what: words}) if as_json else f"{time.strftime('%H:%M:%S')} {name:<12} {words}"
    print(line, flush=True)


def _list(*, as_json: bool) -> int:
    profiles = [make_profile({"port": "-", "profile": name}) for name in shipped_names()]
    if as_json:
        print(json.dumps([{"profile": one.name, "kind": one.kind, "about": one.about} for one in profiles], indent=2))
    else:
        for one in profiles:
            print(f"{one.name:<18} {one.kind:<8} {one.about}")
    return 0


def _profiles(args: argparse.Namespace, settings: Settings | None) -> tuple[Profile, ...]:
    if args.port:
        made = make_profile({"port": args.port, "profile": args.profile, **_overrules(args.set)})
        check_apart((made,))
        return (made,)
    if args.set or args.profile != DEFAULT:
        raise NoReaders("--profile and --set are for one port: give --port too, or change readers in the settings.")
    profiles = reader_profiles(settings) if settings else ()
    if not profiles:
        raise NoReaders("The settings name no reader; give --port and --profile, or set readers (docs/readers.md).")
    return profiles


def _overrules(said: list[str]) -> dict[str, str]:
    return dict(one.partition("=")[::2] for one in said)


def _rules(programme: Path | None, settings: Settings | None) -> CardRules:
    """The cards of a programme file, or of the programme that this till has; none where it has none."""
    if programme is not None:
        return read_programme(read_bytes(programme)).cards
    cache = settings.folder / CACHE_FILE if settings else None
    if cache is None or not cache.is_file():
        return CardRules()
    connection = reading_only(cache)
    try:
        found = connection.execute("SELECT document FROM programme ORDER BY place DESC LIMIT 1").fetchone()
    except sqlite3.Error as trouble:
        raise NoReaders(f"The till's programme cannot be read ({trouble}); give one with --programme.") from None
    finally:
        connection.close()
    return read_programme(found[0]).cards if found else CardRules()


def _wallet(settings: Settings | None) -> Callable[[], WalletCheck | None]:
    """Time and key for codes on phones, where there is an enrolled till."""
    identity = read_identity_file(settings.folder) if settings else None
    if identity is None:
        return lambda: None
    key, accepted = identity.card_key, identity.card_keys.accepted
    return lambda: WalletCheck(time.time_ns() // 1_000_000, key, accepted)


def _settings(args: argparse.Namespace) -> Settings | None:
    """The till's settings; a reader can be tried where there is no till yet."""
    named = args.settings is not None or f"{ENVIRONMENT_PREFIX}DATA_DIR" in os.environ
    return read_settings(args.settings, os.environ) if named else None
