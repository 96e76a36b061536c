"""The answer of GET /v1/status, as types; `health` fills it in."""

from typing import Literal

from edge.answers import Answer


class ReaderSaid(Answer, frozen=True, kw_only=True):
    """A card reader since the service began. Counters only, never what was read."""

    name: str
    state: Literal["up", "down", "stopped"]
    frames: int
    payment_cards: int
    dropped: int
    trouble: str | None


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
    """A background job: seconds since it was last done, none for never; why its last run failed, "" if it did not."""

    chore: str
    done_age_s: int | None
    failing: str


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
    not renewed, and only warnings are logged. `tail_trouble` says why the tail is not kept; "" for none, or kept."""

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
