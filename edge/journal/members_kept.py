"""What the journal keeps for members and cards beside their events: numbers to give out, what is sealed, own blocks.

Card numbers are kept as places of a range and never as numbers; personal data only sealed to head office, and only
until it says that it has it. Source: docs/members.md.
"""

import hmac
from collections.abc import Callable, Iterable

from edge.database import Database
from loyalty.cards.card_numbers import NumberSpan
from sync.desk import UNREADABLE, Sealed

SEALING_KEY = "sealing_key"
# Of a batch that hangs in the air nobody here can say what is in it.
_TO_BE_SENT = (
    "SELECT 1 FROM event e JOIN stream s ON s.epoch = e.epoch AND e.seq > s.acked_seq AND s.kept_apart = ''"
    " WHERE e.receipt_id = ? UNION ALL SELECT 1 FROM loose WHERE sent_ms = 0 LIMIT 1"
)
SEALED_WAITING = "SELECT event_id, exchange_key, body FROM sealed WHERE taken_ms = 0 ORDER BY rowid LIMIT ?"
_SEALED_BEHIND = (
    "SELECT event_id, exchange_key, body FROM sealed WHERE taken_ms = 0"
    " AND rowid > (SELECT rowid FROM sealed WHERE event_id = ?) ORDER BY rowid LIMIT ?"
)
_SPAN = ("span_no", "kind", "prefix", "digits", "first", "last", "granted_at_ms", "card_key_id")


class MembersKept:
    """The rows of one epoch; numbers of an earlier one are not given out any more. What writes belongs inside the
    journal's transaction."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database, self._epoch = database, epoch

    def take(self, sealing_key: str, spans: Iterable[NumberSpan]) -> None:
        """Keep what head office told: its key, where it says one, and spans, each whose signature held; a span seen
        before changes nothing."""
        writer = self._database.writer
        if sealing_key:
            writer.execute(
                "INSERT INTO told (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (SEALING_KEY, sealing_key),
            )
        writer.executemany(
            f"INSERT INTO number_span (epoch, {', '.join(_SPAN)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (epoch, span_no) DO NOTHING",
            [(self._epoch, *(getattr(span, name) for name in _SPAN)) for span in spans],
        )

    def sealing_key(self) -> str:
        """Head office's key for personal data; "" until it was heard."""
        found = self._database.remembered("SELECT value FROM told WHERE name = ?", (SEALING_KEY,))
        return str(found[0][0]) if found else ""

    # Numbers

    def newest_span(self) -> int:
        """The number of the newest span, 0 for none."""
        return int(
            self._database.rows("SELECT coalesce(max(span_no), 0) FROM number_span WHERE epoch = ?", (self._epoch,))[0][
                0
            ]
        )

    def numbers_left(self) -> int:
        """How many numbers can still be given out."""
        (granted,) = self._database.remembered(
            "SELECT coalesce(sum(last - first + 1), 0) FROM number_span WHERE epoch = ?", (self._epoch,)
        )[0]
        (used,) = self._database.remembered("SELECT count(*) FROM number_used WHERE epoch = ?", (self._epoch,))[0]
        return int(granted) - int(used)

    def span(self, till_id: str, span_no: int) -> NumberSpan | None:
        """A span of this epoch."""
        return next((one for one in self._spans(till_id) if one.span_no == span_no), None)

    def draw(
        self, till_id: str, secret: bytes, about: bytes, is_free: Callable[[NumberSpan, int], bool]
    ) -> tuple[NumberSpan, int] | None:
        """Take a place that was never given out; none where there is none left.

        Which one is drawn from `secret` and `about`, the head of the chain: a copy of this journal that goes on
        elsewhere has another head, and hardly ever draws the same.

        Args:
            is_free: whether nobody is known to have the number of a place.
        """
        for span in self._spans(till_id):
            here = (self._epoch, span.span_no)
            rows = self._database.rows("SELECT place FROM number_used WHERE epoch = ? AND span_no = ?", here)
            used = {place for (place,) in rows}
            free = [place for place in range(span.first, span.last + 1) if place not in used]
            turn = int.from_bytes(hmac.digest(secret, b"TP-DRAW1" + about, "sha256")[:8], "big")
            for at in range(len(free)):
                place = free[(turn + at) % len(free)]
                self._database.writer.execute(
                    "INSERT INTO number_used (epoch, span_no, place) VALUES (?, ?, ?)",
                    (*here, place),
                )
                if is_free(span, place):
                    return span, place
        return None

    def _spans(self, till_id: str) -> list[NumberSpan]:
        rows = self._database.rows(
            f"SELECT {', '.join(_SPAN)} FROM number_span WHERE epoch = ? ORDER BY span_no", (self._epoch,)
        )
        return [NumberSpan(till_id=till_id, epoch=self._epoch, **dict(zip(_SPAN, row, strict=True))) for row in rows]

    # Sealed

    def keep_sealed(self, event_id: str, sealed: Sealed) -> None:
        """Keep who a new member is until head office has it."""
        self._database.writer.execute(
            "INSERT INTO sealed (event_id, epoch, exchange_key, body, taken_ms) VALUES (?, ?, ?, ?, 0)",
            (event_id, self._epoch, sealed.exchange_key, sealed.body),
        )

    def sealed_waiting(self, most: int, behind: str = "") -> list[tuple[str, Sealed]]:
        """What head office does not have yet, of any epoch, oldest first; with `most` -1 all of it.

        Args:
            behind: the event whose row is passed over with all before it, where some are left behind it.
        """
        rows = self._database.rows(_SEALED_BEHIND, (behind, most)) or self._database.rows(SEALED_WAITING, (most,))
        return [(event_id, Sealed(exchange_key=key, body=body)) for event_id, key, body in rows]

    def sealed_taken(self, event_id: str, refused: str, now_ms: int) -> None:
        """Head office has it, or never will (`refused` says why).

        What it has stays as long as acknowledged events do, for a head office that is put back from an older backup;
        so does what is for no key that it has now: the key may be found and put back."""
        if refused and refused != UNREADABLE:
            self._forget(event_id)
            return
        self._database.writer.execute("UPDATE sealed SET taken_ms = ? WHERE event_id = ?", (now_ms, event_id))
        self._database.writer.execute("DELETE FROM unheard WHERE event_id = ?", (event_id,))

    def sealed_unheard(self, event_id: str, now_ms: int, kept_ms: int) -> None:
        """Head office does not have the event that this belongs to. Where nothing is left to send that could be it, the
        event is lost, or kept apart there for people; after as long as acknowledged events are kept this goes, too."""
        if self._database.row(_TO_BE_SENT, (event_id,)) is not None:
            return
        self._database.writer.execute(
            "INSERT INTO unheard (event_id, since_ms) VALUES (?, ?) ON CONFLICT DO NOTHING", (event_id, now_ms)
        )
        since = self._database.row("SELECT since_ms FROM unheard WHERE event_id = ?", (event_id,))
        if since is not None and since[0] <= now_ms - kept_ms:
            self._forget(event_id)

    def sealed_again(self) -> None:
        """Head office was put back from a backup: it is brought what it may have lost."""
        self._database.writer.execute("UPDATE sealed SET taken_ms = 0")
        self._database.writer.execute("DELETE FROM unheard")

    def _forget(self, event_id: str) -> None:
        for table in ("sealed", "unheard"):
            self._database.writer.execute(f"DELETE FROM {table} WHERE event_id = ?", (event_id,))

    def prune(self, before_ms: int) -> None:
        """Forget what head office has had for long enough."""
        self._database.writer.execute("DELETE FROM sealed WHERE taken_ms > 0 AND taken_ms < ?", (before_ms,))

    # Cards

    def given(self, card_token: str) -> str | None:
        """The event of this till by which a card was given to somebody."""
        found = self._database.row("SELECT event_id FROM own_card WHERE card_token = ?", (card_token,))
        return str(found[0]) if found else None

    def keep_given(self, card_token: str, event_id: str) -> None:
        """Note to whom a card was given here."""
        self._database.writer.execute(
            "INSERT INTO own_card (card_token, event_id) VALUES (?, ?)", (card_token, event_id)
        )

    def named_under(self, newest: str) -> str | None:
        """Under which keys this till named a card whose newest name this is, and head office has not told of it yet."""
        found = self._database.row("SELECT key_ids FROM own_name WHERE card_token = ?", (newest,))
        return str(found[0]) if found else None

    def keep_named(self, newest: str, key_ids: str) -> None:
        """Note that a card was named."""
        self._database.writer.execute(
            "INSERT OR REPLACE INTO own_name (card_token, key_ids) VALUES (?, ?)", (newest, key_ids)
        )

    def forget_named(self, newest: str) -> None:
        """Head office tells of the card by all its names."""
        if self.named_under(newest) is not None:
            self._database.writer.execute("DELETE FROM own_name WHERE card_token = ?", (newest,))

    def keep_block(self, card_token: str, seq: int, reason: str) -> None:
        """A card that was blocked here, by the event of this number."""
        self._database.writer.execute(
            "INSERT OR REPLACE INTO own_block (card_token, epoch, seq, reason, settled_ms) VALUES (?, ?, ?, ?, 0)",
            (card_token, self._epoch, seq, reason),
        )

    def blocked(self, card_token: str) -> str | None:
        """Why this till does not serve a card that head office has not told of yet."""
        found = self._database.remembered("SELECT reason FROM own_block WHERE card_token = ?", (card_token,))
        return str(found[0][0]) if found else None

    def settle_blocks(self, acked_seq: int, now_ms: int, hotlist_whole_ms: int) -> int:
        """Let head office's hotlist, once it was told to its end, speak for blocks that it has; how many that were."""
        writer = self._database.writer
        # Of an earlier epoch: what that brought over is there too, or is not ours to say any more.
        writer.execute(
            "UPDATE own_block SET settled_ms = ? WHERE settled_ms = 0 AND (epoch <> ? OR seq <= ?)",
            (now_ms, self._epoch, acked_seq),
        )
        gone = writer.execute(
            "DELETE FROM own_block WHERE settled_ms > 0 AND settled_ms < ? AND settled_ms < ?",
            (hotlist_whole_ms, now_ms),
        )
        return gone.rowcount

    # Claims and consents

    def keep_claim(self, claim_id: str, of_receipt: str, card_token: str, business_date: str) -> None:
        """Note a claim."""
        self._database.writer.execute(
            "INSERT INTO own_claim (claim_id, of_receipt, card_token, business_date) VALUES (?, ?, ?, ?)",
            (claim_id, of_receipt, card_token, business_date),
        )

    def claim_of(self, of_receipt: str) -> str | None:
        """The claim of a receipt that was made here."""
        found = self._database.row("SELECT claim_id FROM own_claim WHERE of_receipt = ?", (of_receipt,))
        return str(found[0]) if found else None

    def claims_on(self, card_token: str, business_date: str) -> int:
        """How many receipts were claimed here with a card on a day."""
        found = self._database.rows(
            "SELECT count(*) FROM own_claim WHERE card_token = ? AND business_date = ?", (card_token, business_date)
        )
        return int(found[0][0])

    def keep_consent(self, event_id: str, card_token: str) -> None:
        """Note which card an event with consents was about."""
        self._database.writer.execute(
            "INSERT INTO own_consent (event_id, card_token) VALUES (?, ?)", (event_id, card_token)
        )

    def consent_events(self, card_token: str) -> list[str]:
        """The events of this till with consents of a card, in order."""
        rows = self._database.rows(
            "SELECT event_id FROM own_consent WHERE card_token = ? ORDER BY rowid", (card_token,)
        )
        return [str(event_id) for (event_id,) in rows]
