"""The answer of GET /v1/status, as types; `health` fills it in."""

from typing import Literal

import msgspec

from edge.api.answers import Answer


class ReaderSaid(Answer, frozen=True, kw_only=True):
    """A card reader since the service began. Counters only, never what was read.

    `last_rx_age_s`: seconds since its last byte, none before the first. `opened` above 1: it was pulled out. `rejects`:
    why nothing came of what it sent. `without_code_id`: codes without the id that its profile expects.
    """

    name: str
    state: Literal["up", "down", "stopped"]
    frames: int
    payment_cards: int
    dropped: int
    trouble: str | None
    last_rx_age_s: int | None = None
    opened: int = 0
    rejects: dict[str, int] = msgspec.field(default_factory=dict)
    without_code_id: int = 0


class PrinterSaid(Answer, frozen=True, kw_only=True):
    """The till's own receipt printer since the service began. `held`: it says that it cannot print. `paper` is unknown
    where it never answers. `dropped` slips met a full queue, or waited too long; `lost_letters` came out as `?`."""

    state: Literal["up", "down", "held", "stopped"]
    paper: Literal["unknown", "there", "low", "out"]
    waiting: int
    printed: int
    dropped: int
    opened: int
    lost_letters: int
    trouble: str


class PoleDisplaySaid(Answer, frozen=True, kw_only=True):
    """The customer display of two lines since the service began."""

    state: Literal["up", "down", "stopped"]
    frames: int
    opened: int
    trouble: str


class LineStateSaid(Answer, frozen=True, kw_only=True):
    """How the till stands with head office. `since` is when this state began, none before any contact. `suspended` is
    why nothing is sent, or why points are spent neither on leases nor on floats; "" when all is well. The clock stands
    `clock_offset_ms` behind head office's, right to within `clock_error_ms`; both none before it was heard."""

    offline: bool
    state: str
    since: str | None
    last_contact: str | None
    last_error: str
    suspended: str
    clock_error_ms: int | None
    clock_offset_ms: int | None = None


class ChoreSaid(Answer, frozen=True, kw_only=True):
    """A background job: seconds since it was last done, none for never; why its last run failed, "" if it did not;
    `late` where it hangs."""

    chore: str
    done_age_s: int | None
    failing: str
    late: bool


class StreamSaid(Answer, frozen=True, kw_only=True):
    """The chain of this till: written, acknowledged, and what still waits. `left_unsent` counts events of enrolments
    before this one that head office never had."""

    till_id: str
    epoch: int
    head_seq: int
    acked_seq: int
    backlog: int
    oldest_unsent_s: int | None
    left_unsent: int


class LaneSaid(Answer, frozen=True, kw_only=True):
    """What came down from head office, how old it is, and whether it has lapsed."""

    lane: str
    version: int
    age_s: int | None
    expired: bool


class StatusSaid(Answer, frozen=True, kw_only=True):
    """GET /v1/status. `ready` means that sales can be quoted and committed now. `disk_level` short or full: members are
    not renewed, and only warnings are logged. `tail_trouble` says why the tail is not kept; "" for none, or kept.
    `payment_cards` were shown or typed by mistake since the service began, at readers, on pages and at the POS."""

    ready: bool
    version: str
    label: str
    store_id: str
    partner_id: str
    now: str
    uptime_s: int
    programme: str
    programme_version: str
    language: str
    stream: StreamSaid
    line: LineStateSaid
    lanes: tuple[LaneSaid, ...]
    float_points: int
    open_holds: int
    members: int
    readers: tuple[ReaderSaid, ...]
    screens: int
    disk_free_bytes: int | None
    last_close: str | None
    incidents: int
    chores: tuple[ChoreSaid, ...] = ()
    disk_level: Literal["plenty", "low", "short", "full"] = "plenty"
    ballast: bool = True
    tail_trouble: str = ""
    printer: PrinterSaid | None = None
    pole_display: PoleDisplaySaid | None = None
    payment_cards: int = 0
