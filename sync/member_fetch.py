"""What a till fetches of its members besides pages: a snapshot chunk by chunk, and parts that it finds to be wrong.

The manifest and the chunks that were taken are kept by the store; bytes of the chunk at hand are kept here, those of an
answer that broke off too, so that a line that breaks costs next to nothing, and a restart one chunk. Source: sync.md
section 3.
"""

from sync.framing import sha256
from sync.keys import PublicKeys
from sync.lanes import LaneState, open_page
from sync.pacing import Moment
from sync.ports import TillStore
from sync.refusals import HelloFirst, NotOurAnswer, PageRefused
from sync.snapshots import Span, decode_chunk, open_begun, open_digest, open_manifest, open_part
from sync.till_messages import Request, Speaker, compose_chunk, compose_range, compose_snapshot


class MemberFetch:
    """The till's side of snapshots, digests and ranges.

    Attributes:
        repairs: spans that were found to be wrong since this began.
    """

    def __init__(self, store: TillStore, keys: PublicKeys) -> None:
        self._store = store
        self._keys = keys
        self._manifest_wanted = False
        self._chunk = ""
        self._bytes = bytearray()
        self._range: tuple[Span, int] | None = None  # to be fetched, from an account on
        self._tried: dict[Span, tuple[str, str]] = {}
        self.repairs = 0

    def next_request(self, speaker: Speaker, now: Moment, centre_ms: int, wire_bytes: int) -> Request | None:
        """The next of these; none when the members are to go on by pages.

        Args:
            centre_ms: the centre's clock, as far as it is known here.
            wire_bytes: how much an answer may bring.
        """
        snapshot = self._store.snapshot()
        if snapshot is None:
            return compose_range(speaker, now, *self._range, wire_bytes) if self._range else None
        manifest = snapshot.manifest
        if manifest is None or self._manifest_wanted or centre_ms >= manifest.expires_ms:
            return compose_snapshot(speaker, now)
        chunk = snapshot.next_chunk()
        if chunk is None:
            self._store.end_snapshot()
            return None
        if chunk.sha256 != self._chunk:
            self._chunk, self._bytes = chunk.sha256, bytearray()
        return compose_chunk(speaker, now, chunk, len(self._bytes), wire_bytes)

    def take(self, request: Request, body: bytes, *, is_stopped: bool) -> tuple[int, bool]:
        """Take an answer.

        Args:
            is_stopped: as of `check_generation`.
        Returns:
            The centre's clock, and whether there is more to ask for at once.
        Raises:
            Refusal: it does not prove itself, or does not fit; nothing of it was taken.
        """
        answers = sha256(request.body)
        if request.kind == "snapshot":
            return self._take_manifest(body, answers, is_stopped)
        if request.kind == "chunk":
            return self._take_part(request, body, answers)
        if request.kind == "digest":
            return self._take_digest(body, answers)
        return self._take_range(request, body, answers)

    def take_begun(self, request: Request, came: bytes) -> None:
        """Keep what came of bytes of a chunk before the line broke. Whether they are right, the whole chunk says: one
        that is not is fetched again from its beginning."""
        mark = request.chunk
        if mark is None or mark.sha256 != self._chunk or request.start != len(self._bytes):
            return
        self._bytes += open_begun(
            came, chunk=mark, start=request.start, answers=sha256(request.body), keys=self._keys
        )[: mark.wire_bytes - request.start - 1]  # the last byte comes with an answer that is whole

    def use_keys(self, keys: PublicKeys) -> None:
        """The centre has a newer key."""
        self._keys = keys

    def forget_manifest(self) -> None:
        """A chunk of it is gone: ask for another."""
        self._manifest_wanted = True

    def chunks_left(self) -> int:
        """Chunks of a snapshot that are still to come, 0 while there is none."""
        snapshot = self._store.snapshot()
        if snapshot is None or snapshot.manifest is None:
            return 0
        return len({mark.span for mark in snapshot.manifest.chunks} - {mark.span for mark in snapshot.done})

    def _take_manifest(self, body: bytes, answers: str, is_stopped: bool) -> tuple[int, bool]:
        till_id = self._store.head().till_id
        header, manifest = open_manifest(body, till_id=till_id, answers=answers, keys=self._keys)
        have = self._store.lane("members").version
        if manifest.version < have:
            raise PageRefused(
                f"The manifest of the members is version {manifest.version}, older than {have} which this till has.",
                version=manifest.version,
                have=have,
            )
        check_generation(manifest.generation, self._store, is_stopped=is_stopped)
        self._store.take_manifest(manifest)
        self._manifest_wanted = False
        return header.server_at_ms, True

    def _take_part(self, request: Request, body: bytes, answers: str) -> tuple[int, bool]:
        mark = request.chunk
        if mark is None or mark.sha256 != self._chunk or request.start != len(self._bytes):
            raise NotOurAnswer("These bytes are of a chunk that is not fetched any more.")
        header, part = open_part(body, chunk=mark, start=request.start, answers=answers, keys=self._keys)
        self._bytes += part
        if len(self._bytes) == mark.wire_bytes:
            data, self._chunk, self._bytes = bytes(self._bytes), "", bytearray()
            self._store.take_chunk(mark, decode_chunk(data, mark))
        return header.server_at_ms, True

    def _take_digest(self, body: bytes, answers: str) -> tuple[int, bool]:
        said = open_digest(body, answers=answers, keys=self._keys)
        if not said.known or self._store.snapshot() is not None or self._range:
            return said.server_at_ms, False
        span = Span(home=said.home, bits=said.bits, part=said.part)
        rows, digest = self._store.digest(span, frozenset(said.apart))
        if (rows, digest) == (said.rows, said.digest):
            self._store.agree(span, frozenset(said.apart))
            return said.server_at_ms, False
        # Fetched anew and still other than the centre says: a version between us, which fetching does not mend.
        if self._tried.get(span) == (said.digest, digest):
            return said.server_at_ms, False
        self._tried[span] = (said.digest, digest)
        self._range = span, span.first
        self.repairs += 1
        return said.server_at_ms, True

    def _take_range(self, request: Request, body: bytes, answers: str) -> tuple[int, bool]:
        till_id = self._store.head().till_id
        header, page = open_page(body, till_id=till_id, answers=answers, keys=self._keys)
        span, first, cursor = request.span, request.start, self._lane().cursor
        if span is None or page.lane != "members" or page.from_cursor != cursor or page.to_cursor != cursor:
            raise PageRefused("These rows are not those that were asked for.", lane=page.lane)
        if page.first != first or not first <= page.last <= span.last or (not page.more and page.last != span.last):
            raise PageRefused("These rows are not of the accounts that were asked for.", first=page.first)
        if page.generation > self._store.generation():
            # A range is what there is, whatever was here: pages go first, and a digest finds it again.
            self._range = None
            self._tried.pop(span, None)
        check_generation(page.generation, self._store, is_stopped=False)
        self._store.take_range(page, bool(span.home))
        self._range = (span, page.last + 1) if page.more and page.last < span.last else None
        return header.server_at_ms, True

    def _lane(self) -> LaneState:
        return self._store.lane("members")


def check_generation(generation: int, store: TillStore, *, is_stopped: bool) -> None:
    """Take no rows of a generation that no hello was answered with: events that head office lost are sent again first.

    Args:
        is_stopped: none are sent before a person has decided, so they are not waited for. Each row that lacks what
            this till let be spent is left out by whoever keeps them.
    Raises:
        HelloFirst: head office was restored since.
    """
    if generation > store.generation() and not is_stopped:
        raise HelloFirst("Head office was restored from a backup; a hello comes before its members are taken.")
