"""The demo's coalition as processes: head office, three stores, four tills, a scanner on a pseudo-terminal, a plug."""

import contextlib
import csv
import json
import os
import pty
import socket
import subprocess
import sys
import time
import tty
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

import yaml
from rich.console import Console

from central.console.overview import overview
from central.ports import open_engine, reading
from loyalty.cards.cards import gs1_digit, luhn_digit
from loyalty.trouble import Fault
from tallypoint.demo.plug import Plug
from tallypoint.demo.processes import Served
from tallypoint.demo.till_client import TillClient
from tallypoint.demo.tills import Till

MEMBERS = 1000
TILLS = (
    ("leith-1", "northwind", "leith", "Northwind Market", "12 Quay Street"),
    ("leith-2", "northwind", "leith", "Northwind Market", "12 Quay Street"),
    ("dock-1", "northwind", "dock", "Northwind Market", "3 Dock Road"),
    ("quay-1", "bluebird", "quay", "Bluebird Pharmacy", "40 Quay Street"),
)
LOGIN = "office"
PASSWORD = "harbour-demo-only"
SYNC_S = 90.0


class DemoStuck(Fault):
    code = "demo.stuck"


class Shop:
    """Everything that runs; `start` and `stop` it, ring up at its `tills`."""

    def __init__(self, folder: Path, seed: int, console: Console) -> None:
        self.folder = folder
        self.console = console
        self.random = Random(seed * 31 + 1)
        self.cards = card_numbers(self.random, MEMBERS)
        self.days = last_thursday_and_friday(datetime.now(UTC).date())
        self.tills: list[Till] = []
        self.served: dict[str, Served] = {}
        self.killed = 0
        self._plug: Plug | None = None
        # What a barcode scanner can read: the thirteen-digit half.
        self._ean = self.random.sample([number for number in self.cards if len(number) == 13], 40)
        self._scanner, self._scanned = -1, 0

    # Setting up

    def start(self) -> None:
        """Head office, coalition, programme, members, then each till: enrolled and served."""
        self._office()
        port = _free_port()
        self.office_url = f"http://127.0.0.1:{port}"
        arguments = ["central", "serve", "--data", str(self.folder / "centre"), "--port", str(port)]
        self._serve("centre", arguments, self.office_url + "/healthz")
        self._plug = Plug(port)
        for label, partner, store, shop_name, address in TILLS:
            self._till(label, partner, store, (shop_name, address))
        self.wait_until_synced()

    def _office(self) -> None:
        self.console.print("Head office: coalition, programme, 1,000 members", highlight=False)
        data = self._centre("init")
        self.fingerprint = data["fingerprint"]
        self._books = open_engine(f"sqlite:///{self.folder / 'centre' / 'central.db'}")
        self._centre("coalition", str(_shipped("coalitions/harbour.yaml")))
        self._centre("publish", str(_shipped("programmes/harbour.yaml")))
        # The file with the numbers lies outside the folder that is searched for them at the end, and goes at once.
        members = self.folder.parent / f"{self.folder.name}-members.csv"
        with members.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["card", "tier", "language", "home_store_id"])
            for number in self.cards:
                tier = self.random.choice(("", "", "", "", "", "", "", "silver", "silver", "gold"))
                rows.writerow([number, tier, self.random.choice(("en", "en", "en", "pt-BR")), ""])
        self._centre("members", str(members))
        members.unlink()
        self._centre("user", "--login", LOGIN, "--role", "head_office", password=PASSWORD)

    def _till(self, label: str, partner: str, store: str, shop: tuple[str, str]) -> None:
        slot = self._centre("slot", "--store", store, "--label", label)
        port = _free_port()
        folder = self.folder / "tills" / label
        folder.mkdir(parents=True)
        centre = self._plug.port if self._plug and label == "dock-1" else int(self.office_url.rsplit(":", 1)[1])
        settings: dict[str, Any] = {
            "data_dir": str(folder),
            "centre_url": f"http://127.0.0.1:{centre}",
            "listen_port": port,
            "label": label,
            "offset_min": 60,
            "shop_name": shop[0],
            "shop_address": [shop[1]],
            "members_every_s": 2,  # nobody wants to watch a minute go by
        }
        if sum(store == one[2] for one in TILLS) > 1:
            settings["lan_listen"] = f"127.0.0.1:{_free_port()}"
        if label == TILLS[0][0]:
            settings["reader_port"] = self._scanner_port()
        file = folder / "till.yaml"
        file.write_text(yaml.safe_dump(settings))
        self._run("edge", "enrol", "--settings", str(file), "--code", slot["code"], "--fingerprint", self.fingerprint)
        self._serve(label, ["edge", "serve", "--settings", str(file)], f"http://127.0.0.1:{port}/v1/status")
        self.tills.append(Till(label=label, partner=partner, store=store, client=TillClient(port)))
        self.console.print(f"Till {label} enrolled and serving", highlight=False)

    def _scanner_port(self) -> str:
        """The scanner: we hold one end of a pseudo-terminal, the till reads the other as its serial port."""
        self._scanner, slave = pty.openpty()
        tty.setraw(slave)
        return os.ttyname(slave)

    def _serve(self, name: str, arguments: list[str], ready_url: str) -> None:
        self.served[name] = Served(name, arguments, ready_url, self.folder / f"{name}.log")
        self.served[name].start()

    def _centre(self, *arguments: str, password: str = "", fine: tuple[int, ...] = (0,)) -> Any:
        data = ("--data", str(self.folder / "centre"), "--json")
        return json.loads(self._run("central", *arguments, *data, password=password, fine=fine))

    def _run(self, *arguments: str, password: str = "", fine: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tallypoint.cli", *arguments],
            capture_output=True,
            text=True,
            input=password,
            timeout=120,
            check=False,
        )
        if done.returncode not in fine:
            raise DemoStuck(f"tallypoint {' '.join(arguments[:2])} failed: {done.stderr.strip()[-800:]}")
        return done.stdout

    # What happens to it

    def scan(self) -> str:
        """A customer holds a card under the scanner; answers what the till says to send for it."""
        os.write(self._scanner, f"]E0{self.random.choice(self._ean)}\r".encode())
        until = time.monotonic() + 10
        while time.monotonic() < until:
            said = self.tills[0].client.get("/v1/cards/last", after=self._scanned)
            if said["cursor"] > self._scanned and said["scan"]:
                self._scanned = said["cursor"]
                return str(said["scan"]["card_token"])
            time.sleep(0.01)
        raise DemoStuck("The till did not read the card that was scanned.")

    def pull_the_plug(self) -> None:
        """The line of till dock-1 goes down."""
        assert self._plug is not None
        self._plug.pull()
        self.console.print("The line of till dock-1 goes down; it keeps selling", highlight=False)

    def plug_in(self) -> None:
        """The line of till dock-1 comes back."""
        assert self._plug is not None
        backlog = self.tills[2].client.get("/v1/status")["stream"]["backlog"]
        self._plug.plug_in()
        self.console.print(f"The line comes back; {backlog} events wait to be sent", highlight=False)

    def kill_and_restart(self, till: Till) -> None:
        """SIGKILL, then a new process on the same folder."""
        served = self.served[till.label]
        served.kill()
        self.killed += 1
        served.start()
        self.console.print(f"Till {till.label} was killed in mid-sale and is back", highlight=False)

    def wait_until_synced(self) -> None:
        """Until tills have sent everything and know every member, and head office has recomputed every receipt."""
        until = time.monotonic() + SYNC_S
        while time.monotonic() < until:
            with reading(self._books) as connection:
                office = overview(connection)
            if not (office["unchecked"] or office["unstamped"]) and all(
                self._is_level(till, office["lanes"]) for till in self.tills
            ):
                return
            time.sleep(0.3)
        raise DemoStuck("Tills and head office did not come level; look into the log files.", folder=str(self.folder))

    def _is_level(self, till: Till, newest: dict[str, int]) -> bool:
        """Nothing left to send, every lane as new as head office's, and numbers for new cards at hand."""
        said = till.client.get("/v1/status")
        lanes = {lane["lane"]: lane["version"] for lane in said["lanes"]}
        is_new = all(lanes.get(lane, 0) >= no for lane, no in newest.items())
        return said["stream"]["backlog"] == 0 and is_new and till.client.get("/v1/enrolment")["numbers_left"] > 0

    # Closing

    def settle(self) -> dict[str, Any]:
        """Close the period through the second day, twice; answers what verification and closing say."""
        through = self.days[1].isoformat()
        closed = self._centre("close", "--through", through)
        again = self._centre("close", "--through", through, "--period", str(closed["period_no"]))
        return {
            "closed": closed,
            "closed_again": again,
            "status": self._centre("status"),
            "verified": self._centre("verify", fine=(0, 1)),  # 1: it found violations, which we report
        }

    def addresses(self) -> list[tuple[str, str]]:
        """What to open in a browser."""
        shown = [(f"Head office ({LOGIN} / {PASSWORD})", self.office_url + "/")]
        for till in self.tills:
            shown.append((f"Customer display of {till.label}", till.client.url + "/customer"))
        shown.append((f"Cashier panel of {self.tills[0].label}", self.tills[0].client.url + "/cashier"))
        shown.append((f"Self-checkout of {self.tills[3].label}", self.tills[3].client.url + "/kiosk"))
        shown.append(("The till's contract", self.tills[0].client.url + "/openapi.json"))
        return shown

    def stop(self) -> None:
        """End every process that was started."""
        for served in reversed(self.served.values()):
            served.stop()
        if self._plug is not None:
            self._plug.pull()
        if self._scanner >= 0:
            with contextlib.suppress(OSError):  # the till's end is closed already
                os.close(self._scanner)


def open_shop(folder: Path, seed: int, console: Console) -> Shop:
    """A shop that has not started."""
    return Shop(folder, seed, console)


def card_numbers(random: Random, count: int) -> list[str]:
    """Card numbers in the demo programme's ranges, no two alike: half EAN-13, half Luhn."""
    numbers: set[str] = set()
    while len(numbers) < count:
        if len(numbers) % 2:
            payload = f"982600{random.randrange(10**9):09d}"
            numbers.add(payload + luhn_digit(payload))
        else:
            payload = f"2037{random.randrange(10**8):08d}"
            numbers.add(payload + gs1_digit(payload))
    # A set has no order that two runs share.
    return sorted(numbers)


def last_thursday_and_friday(today: date) -> tuple[date, date]:
    """The newest such pair that is over: the weekday decides what the programme grants, so the story repeats."""
    friday = today - timedelta(days=(today.weekday() - 4) % 7 or 7)
    return friday - timedelta(days=1), friday


def _shipped(name: str) -> Path:
    with resources.as_file(resources.files("tallypoint") / name) as path:
        return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
