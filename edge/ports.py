"""What a simulation replaces (clock, randomness) and the settings, read once at start-up.

Nothing else in this folder asks the clock or chance; everybody is handed a `Clock`.
"""

import ipaddress
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
import yaml

from loyalty.approvals import Action
from loyalty.document import Language
from loyalty.trouble import Fault
from sync.pacing import Moment

ENVIRONMENT_PREFIX = "TALLYPOINT_TILL_"
FARTHEST_OFFSET_MIN = 18 * 60  # as an event may say it
Baud = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# CLOCK_BOOTTIME goes on while the machine sleeps; a hold must not outlive a night with the lid closed.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Instant(msgspec.Struct, frozen=True, kw_only=True):
    """Now: `mono_ms` counts within one boot, `wall_ms` since 1970 UTC, `boot` names the boot."""

    mono_ms: int
    wall_ms: int
    boot: str

    @property
    def moment(self) -> Moment:
        """As the sync session wants it."""
        return Moment(mono_ms=self.mono_ms, wall_ms=self.wall_ms)


class Clock(Protocol):
    """Both clocks at once."""

    def now(self) -> Instant:
        """The present instant."""


class SystemClock:
    """The machine's clocks."""

    def __init__(self) -> None:
        # Without a boot id every start counts as a reboot, which can only shorten a hold or a lease.
        try:
            self._boot = _BOOT_ID.read_text("ascii").strip()
        except OSError:
            self._boot = f"start-{time.time_ns()}"

    def now(self) -> Instant:
        """The present instant."""
        mono_ms = time.clock_gettime_ns(_MONOTONIC) // 1_000_000
        return Instant(mono_ms=mono_ms, wall_ms=time.time_ns() // 1_000_000, boot=self._boot)


def elapsed_ms(since: Instant, now: Instant, *, at_least_wall_ms: int = 0) -> int | None:
    """How long ago `since` was; None when nobody can tell, because the wall clock went back after a reboot.

    Args:
        at_least_wall_ms: a wall time known to have been reached since, such as that of the last event written.
    Source: offline-redemption.md, "Clocks".
    """
    if since.boot == now.boot:
        return now.mono_ms - since.mono_ms
    elapsed = max(now.wall_ms, at_least_wall_ms) - since.wall_ms
    return elapsed if now.wall_ms >= since.wall_ms else None


class BadSettings(Fault):
    code = "settings.malformed"
    status = 500


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this till service runs. Who the till is (till, store, partner, keys) comes from its enrolment instead.

    Attributes:
        data_dir: folder of journal, cache and identity.
        centre_url: of head office, such as `https://loyalty.example`; empty for a till that stays alone.
        centre_ca: file of certificates (PEM) by which head office is known; empty for the authorities of the web.
        language: of screens and receipts where neither sale nor member says another.
        confirm_url: where customers confirm a consent, head office's public address with `/c/` behind it; empty for by
            code alone.
        offset_min: the store's minutes east of UTC, for a POS that sends no offset.
        pos_token: what a POS must present; may be empty while listening on loopback only.
        till_kind: what kind of till this is, such as `staffed` or `self-service`, for promotions that run at some only.
        receipt_columns, receipt_profile: of the paper that the POS prints on; of the till's own printer.
        receipt_legal: a text at the foot of every sale that is never shortened or left out.
        printer_port, printer_baud, printer_flow: serial port of a receipt printer of the till's own; empty for none.
        printer_drawer: the drawer hangs on that printer, and opens with a sale or exchange that was paid in cash.
        display_port, display_baud, display_profile: serial port and kind of a customer display of two lines; empty for
            none.
        reader_port, reader_profile: serial port of the one card reader, and its profile: a shipped one's name or a
            file; empty for none.
        readers: several card readers, each with `port`, `profile` and any field of it to overrule (docs/readers.md);
            as a variable, YAML in one line.
        lan_listen: `host:port` in the store's own network, under which other tills of the store share rights to spend
            points with this one; empty for none.
        members_every_s: how often head office is asked for news of members when nothing else is said.
        tail_path: a file, or a folder, on another file system, where the till notes how far its journal is; empty for
            none.
        ballast_mb: kept free for the journal in a file that is deleted when the disk is full; 0 for none.
        kept_days, kept_events: how long what head office acknowledged is kept, and how many of the newest at any age.
        supervisors: who may approve what a cashier may not do alone: number → hash of their code, as `tallypoint edge
            supervisor-code` prints it; empty where the POS asks them.
        cashiers: who may sign in at the cashier panel: number → hash of their PIN, as `supervisors`; empty for a number
            alone, or for the POS to open it where there is a `pos_token`.
        approvals: what wants a supervisor, from which amount on (minor units; points of `points_spent`); 0 for always.
        log_dir: folder of log files, of which `log_days` are kept; empty for the standard error alone.
    """

    data_dir: str
    centre_url: str = ""
    centre_ca: str = ""
    listen_host: str = "127.0.0.1"
    listen_port: int = 8640
    label: str = ""
    till_kind: str = ""
    language: Language = "en"
    confirm_url: str = ""
    offset_min: int = 0
    shop_name: str = ""
    shop_address: tuple[str, ...] = ()
    receipt_columns: int = 42
    receipt_profile: str = ""
    receipt_legal: str = ""
    printer_port: str = ""
    printer_baud: Baud = 9600
    printer_flow: Literal["none", "rtscts", "xonxoff"] = "none"
    printer_drawer: bool = False
    display_port: str = ""
    display_baud: Baud = 9600
    display_profile: str = "cd5220"
    pos_token: str = ""
    reader_port: str = ""
    reader_profile: str = ""
    readers: tuple[dict[str, str | int | bool], ...] = ()
    lan_listen: str = ""
    members_every_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 60
    tail_path: str = ""
    ballast_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 16
    kept_days: Annotated[int, msgspec.Meta(ge=14, le=3_650)] = 14
    kept_events: Annotated[int, msgspec.Meta(ge=50_000, le=100_000_000)] = 50_000
    supervisors: dict[str, str] = {}
    cashiers: dict[str, str] = {}
    approvals: dict[Action, Annotated[int, msgspec.Meta(ge=0)]] = {}
    log_dir: str = ""
    log_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 30

    def __repr__(self) -> str:
        return f"Settings(data_dir={self.data_dir!r}, centre_url={self.centre_url!r})"

    @property
    def folder(self) -> Path:
        """`data_dir` as a path."""
        return Path(self.data_dir)


def read_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Settings from a file (`.toml`, `.yaml`, `.yml`, `.json`), each one overruled by TALLYPOINT_TILL_<NAME>.

    Args:
        path: the file; None to read the environment alone.
        environment: such as `os.environ`; lists are parted by `|`.
    Raises:
        BadSettings: names the file or the variable and what it should say.
    """
    _check_names(environment)
    values = _from_file(path) if path else {}
    for name in Settings.__struct_fields__:
        said = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if said is not None:
            values[name] = _listed(name, said)
    if "data_dir" not in values:
        raise BadSettings(
            f"{path or 'The environment'} does not say which till: data_dir, the folder of its data, is missing. Name"
            " the till's settings file with --settings, as its service does (/etc/tallypoint/till.yaml)."
        )
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as trouble:
        raise BadSettings(
            f"A setting cannot be used: {trouble}. Correct {path or 'the environment'}; "
            f"{ENVIRONMENT_PREFIX}<NAME> overrules the file."
        ) from None
    _check(settings)
    return settings


def _check_names(environment: Mapping[str, str]) -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.__struct_fields__}
    strange = sorted(name for name in environment if name.startswith(ENVIRONMENT_PREFIX) and name not in known)
    if strange:
        raise BadSettings(f"There is no setting for the variable {strange[0]}. Correct its name, or take it out.")


def _listed(name: str, said: str) -> Any:
    """A variable's text; lists are parted by `|`, names from their values by `=`."""
    if name == "shop_address":
        return said.split("|")
    if name in ("supervisors", "cashiers", "approvals"):
        return dict(part.split("=", 1) if "=" in part else (part, "") for part in said.split("|") if part)
    if name == "readers":
        try:
            return yaml.safe_load(said)
        except yaml.YAMLError as trouble:
            raise BadSettings(
                f"{ENVIRONMENT_PREFIX}READERS is YAML in one line, such as [{{port: /dev/ttyS0}}]: {trouble}"
            ) from None
    return said


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except OSError as trouble:
        raise BadSettings(f"The settings file {path} cannot be read: {trouble.strerror}.") from None
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as trouble:
        mark = getattr(trouble, "problem_mark", None)  # else the sentence names the place, or there is none
        why = f"line {mark.line + 1}: {getattr(trouble, 'problem', '')}" if mark else trouble
        raise BadSettings(f"The settings file {path} is not TOML or YAML: {why}. Mend it there.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadSettings(f"The settings file {path} must hold names and values, such as data_dir: till-data.")
    return values


def _check(settings: Settings) -> None:
    if not 1 <= settings.listen_port <= 65_535:
        raise BadSettings("listen_port must be 1 to 65535.", listen_port=settings.listen_port)
    if abs(settings.offset_min) > FARTHEST_OFFSET_MIN:
        raise BadSettings("offset_min is minutes east of UTC, such as -180 or 60.", offset_min=settings.offset_min)
    if settings.lan_listen and _port_of(settings.lan_listen) is None:
        raise BadSettings(
            "lan_listen is an address of this machine in the store and a port, such as 10.0.0.21:8650.",
            lan_listen=settings.lan_listen,
        )
    if settings.centre_ca and not Path(settings.centre_ca).is_file():
        raise BadSettings("centre_ca must name a file of certificates (PEM).", centre_ca=settings.centre_ca)
    if settings.centre_url and not settings.centre_url.startswith(("https://", "http://")):
        raise BadSettings("centre_url must begin with https:// (or http:// in a test).", centre_url=settings.centre_url)
    if not settings.pos_token and not _is_loopback(settings.listen_host):
        raise BadSettings(
            "A till that listens beyond its own machine needs a pos_token; set one, or listen on 127.0.0.1.",
            listen_host=settings.listen_host,
        )


def _port_of(address: str) -> int | None:
    host, _, port = address.rpartition(":")
    return int(port) if host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536 else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
