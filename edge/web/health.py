"""How this till is: one picture for GET /v1/status, the same as lines for Prometheus. No member is in either."""

import shutil
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

import msgspec

from edge.api.status import ChoreSaid, LaneSaid, LineStateSaid, ReaderSaid, StatusSaid, StreamSaid
from edge.counter.desk import Desk
from edge.devices.peripherals import Peripherals
from edge.instants import show_instant, show_known
from edge.journal.journal import Journal
from edge.journal.room import Room
from edge.journal.tail import Tail
from edge.line.chores import Ran
from edge.line.uplink import Uplink
from loyalty.facts.events import TillClose
from pos_adapters.readers.port import ReaderHealth

PREFIX = "tallypoint_till_"


def our_version() -> str:
    """The installed version; `unpackaged` when run from a folder of source."""
    try:
        return version("tallypoint")
    except PackageNotFoundError:
        return "unpackaged"


class Health:
    """Reads every part when it is asked; counts only incidents and refusals itself.

    Args:
        readers: each reader's counters now.
        chores: runs by (chore, outcome); `last_runs`: how each last ended.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        journal: Journal,
        uplink: Uplink,
        readers: Callable[[], tuple[ReaderHealth, ...]],
        chores: Callable[[], Mapping[tuple[str, str], int]] = dict,
        last_runs: Callable[[], Mapping[str, Ran]] = dict,
        tail: Tail | None = None,
        room: Room | None = None,
        peripherals: Peripherals | None = None,
    ) -> None:
        self._peripherals = peripherals
        self._tail, self._room = tail, room
        self._desk, self._journal, self._uplink = desk, journal, uplink
        self._readers, self._chores, self._last_runs = readers, chores, last_runs
        self._started_ms = desk.clock.now().mono_ms
        self._incidents: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._lock = threading.Lock()

    def incident(self, code: str) -> None:
        """A fault, an invariant or an unexpected trouble was answered."""
        with self._lock:
            self._incidents[code] += 1

    def refused(self, code: str) -> None:
        """A refusal was answered: a rule that says no, or a payment card where a card of ours was wanted."""
        with self._lock:
            self._refusals[code] += 1

    def status(self) -> StatusSaid:
        """The whole picture."""
        desk, journal, now = self._desk, self._journal, self._desk.clock.now()
        programmes = desk.till.cache.programmes()
        offset_min = desk.settings.offset_min
        readers = tuple(_reader(reader) for reader in self._readers())
        return StatusSaid(
            ready=bool(programmes),
            version=our_version(),
            label=desk.label,
            store_id=desk.identity.store_id,
            partner_id=desk.identity.partner_id,
            now=show_instant(now.wall_ms, offset_min),
            uptime_s=(now.mono_ms - self._started_ms) // 1000,
            programme=desk.programme_name(),
            programme_version=programmes[0].version if programmes else "",
            language=desk.settings.language,
            stream=self._stream(now.wall_ms),
            line=self._line(offset_min),
            lanes=self._lanes(now.wall_ms),
            float_points=journal.float_left(now).points,
            open_holds=len(journal.open_holds()),
            members=desk.till.cache.member_count(),
            readers=readers,
            payment_cards=sum(reader.payment_cards for reader in readers) + self._payment_cards_sent(),
            screens=desk.screens.count(),
            disk_free_bytes=shutil.disk_usage(journal.path).free if journal.path else None,
            last_close=self._last_close(),
            incidents=sum(self._incidents.values()),
            chores=self._chores_said(now.mono_ms),
            disk_level=self._room.level() if self._room else "plenty",
            ballast=self._room.has_ballast() if self._room else True,
            tail_trouble=self._tail.trouble if self._tail else "",
            printer=self._peripherals.printer_said() if self._peripherals else None,
            pole_display=self._peripherals.pole_said() if self._peripherals else None,
        )

    def metrics(self) -> str:
        """The picture as Prometheus' text format."""
        status = self.status()
        stream, line, session = status.stream, status.line, self._uplink.status().session
        figures: list[tuple[str, Mapping[str, str], int | None]] = [
            ("ready", {}, int(status.ready)),
            ("uptime_seconds", {}, status.uptime_s),
            ("head_seq", {}, stream.head_seq),
            ("acked_seq", {}, stream.acked_seq),
            ("backlog_events", {}, stream.backlog),
            ("oldest_unsent_seconds", {}, stream.oldest_unsent_s or 0),
            ("left_unsent_events", {}, stream.left_unsent),
            ("offline", {}, int(line.offline)),
            ("suspended", {}, int(bool(line.suspended))),
            ("clock_error_milliseconds", {}, line.clock_error_ms),
            ("clock_offset_milliseconds", {}, line.clock_offset_ms),
            ("float_points", {}, status.float_points),
            ("open_holds", {}, status.open_holds),
            ("members", {}, status.members),
            ("member_chunks_left", {}, session.chunks_left),
            ("member_repairs_total", {}, session.repairs),
            ("screens", {}, status.screens),
            ("screens_dropped_total", {}, self._desk.screens.dropped),
            ("disk_free_bytes", {}, status.disk_free_bytes),
            ("disk_shedding", {}, int(status.disk_level in ("short", "full"))),
            ("ballast", {}, int(status.ballast)),
            ("tail_failing", {}, int(bool(status.tail_trouble))),
        ]
        figures += [("lane_age_seconds", {"lane": lane.lane}, lane.age_s) for lane in status.lanes]
        figures += [("lane_expired", {"lane": lane.lane}, int(lane.expired)) for lane in status.lanes]
        for reader in status.readers:
            named = {"reader": reader.name}
            figures.append(("reader_up", named, int(reader.state == "up")))
            figures.append(("reader_frames_total", named, reader.frames))
            figures.append(("reader_payment_cards_total", named, reader.payment_cards))
            figures.append(("reader_dropped_total", named, reader.dropped))
            figures += [
                ("reader_rejects_total", {**named, "reason": reason}, many) for reason, many in reader.rejects.items()
            ]
        if printer := status.printer:
            figures.append(("printer_up", {}, int(printer.state == "up")))
            figures.append(("printer_waiting", {}, printer.waiting))
            figures.append(("printer_printed_total", {}, printer.printed))
            figures.append(("printer_dropped_total", {}, printer.dropped))
        if pole := status.pole_display:
            figures.append(("pole_display_up", {}, int(pole.state == "up")))
        figures += [("chore_age_seconds", {"chore": one.chore}, one.done_age_s) for one in status.chores]
        figures += [("chore_failing", {"chore": one.chore}, int(bool(one.failing))) for one in status.chores]
        figures += [("chore_late", {"chore": one.chore}, int(one.late)) for one in status.chores]
        figures.append(("payment_cards_total", {}, status.payment_cards))
        figures += [("refusals_total", {"code": code}, n) for code, n in sorted(self._refusals_now().items())]
        figures += [("incidents_total", {"code": code}, n) for code, n in sorted(self._incidents.items())]
        figures += [
            ("chore_runs_total", {"chore": chore, "outcome": outcome}, n)
            for (chore, outcome), n in sorted(self._chores().items())
        ]
        return _exposition(figures)

    def _refusals_now(self) -> dict[str, int]:
        with self._lock:
            return dict(self._refusals)

    def _payment_cards_sent(self) -> int:
        """Those that a page or a POS sent; of readers at ports nothing comes that far."""
        return sum(n for code, n in self._refusals_now().items() if code.endswith(".payment_card"))

    def _stream(self, wall_ms: int) -> StreamSaid:
        head, acked = self._journal.head(), self._journal.outbox.acked()
        oldest_ms = self._journal.outbox.oldest_unsent_ms()
        return StreamSaid(
            till_id=head.till_id,
            epoch=head.epoch,
            head_seq=head.seq,
            acked_seq=acked.seq,
            backlog=self._journal.backlog(),
            oldest_unsent_s=max(0, wall_ms - oldest_ms) // 1000 if oldest_ms is not None else None,
            left_unsent=self._journal.outbox.left_unsent(),
        )

    def _line(self, offset_min: int) -> LineStateSaid:
        session = self._uplink.status().session
        line = session.line
        return LineStateSaid(
            offline=self._desk.is_offline(),
            state=line.state,
            since=show_known(line.since_ms, offset_min),
            last_contact=show_known(line.last_contact_ms, offset_min),
            last_error=line.last_error,
            suspended=session.suspended or self._journal.outbox.leases_suspended(),
            clock_error_ms=line.clock.error_ms if line.clock else None,
            clock_offset_ms=line.clock.offset_ms if line.clock else None,
        )

    def _lanes(self, wall_ms: int) -> tuple[LaneSaid, ...]:
        return tuple(
            LaneSaid(
                lane=lane.lane,
                version=lane.version,
                age_s=max(0, wall_ms - lane.taken_ms) // 1000 if lane.taken_ms else None,
                expired=lane.expired,
            )
            for lane in self._desk.till.cache.lane_status()
        )

    def _chores_said(self, mono_ms: int) -> tuple[ChoreSaid, ...]:
        return tuple(
            ChoreSaid(
                chore=name,
                done_age_s=(mono_ms - ran.done_mono_ms) // 1000 if ran.done_mono_ms is not None else None,
                failing=ran.failing,
                late=ran.is_late,
            )
            for name, ran in self._last_runs().items()
        )

    def _last_close(self) -> str | None:
        entry = self._journal.last_close()
        event = entry.event if entry else None
        return event.place.business_date.isoformat() if isinstance(event, TillClose) else None


def _reader(health: ReaderHealth) -> ReaderSaid:
    return ReaderSaid(
        name=health.name,
        state=health.state,
        frames=health.frames,
        payment_cards=dict(health.outcomes).get("payment_card", 0),
        dropped=health.dropped,
        trouble=health.trouble,
        last_rx_age_s=None if health.last_rx_age_s is None else int(health.last_rx_age_s),
        opened=health.opened,
        rejects=dict(health.rejects),
        without_code_id=health.without_aim,
    )


def _exposition(figures: list[tuple[str, Mapping[str, str], int | None]]) -> str:
    """Prometheus' text format 0.0.4; a figure that is not known is left out."""
    lines: list[str] = []
    typed: set[str] = set()
    for name, labels, value in figures:
        if value is None:
            continue
        if name not in typed:
            typed.add(name)
            lines.append(f"# TYPE {PREFIX}{name} {'counter' if name.endswith('_total') else 'gauge'}")
        said = ",".join(f"{label}={msgspec.json.encode(text).decode()}" for label, text in labels.items())
        lines.append(f"{PREFIX}{name}{{{said}}} {value}" if said else f"{PREFIX}{name} {value}")
    return "\n".join(lines) + "\n"
