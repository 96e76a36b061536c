"""What lies on the disks at the end, read with SQL, zlib, JSON and hashes alone: no class of till or centre."""

import hashlib
import hmac
import json
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tallypoint.fleet.record import Place

Stream = tuple[str, int]
_ZERO = "0" * 64
_ADDING = {"uses", "earned", "reversed", "redemption", "restored_points", "slices"}


class Batch(NamedTuple):
    """One batch as it was received."""

    first_seq: int
    last_seq: int
    posted_from: int
    header: bytes
    signature: bytes
    body: bytes


class Centre:
    """What the centre has.

    Attributes:
        hashes: of every stream of a till the hash after each event, the first at 0.
        state: of events that are not simply posted, by (till, epoch, seq); `flagged`: those with a finding.
        posted: how often each receipt id is posted, of sales, returns and voids.
        kept: events in requests that were put aside as evidence.
        balances: points of accounts, what is set aside included and what is owed taken off.
        wrongs: what does not hold together.
    """

    def __init__(self, disk: sqlite3.Connection, cards: frozenset[str]) -> None:
        self.disk = disk
        self._cards = cards
        self.wrongs: list[str] = []
        self.hashes: dict[Stream, list[str]] = {}
        self._genesis: dict[Stream, bytes] = {}
        of_tills = "SELECT till_id, epoch, genesis FROM stream WHERE state <> 'centre'"
        for till_id, epoch, genesis in disk.execute(of_tills):
            self._genesis[till_id, epoch] = bytes.fromhex(genesis)
        self._keys = {(till_id, key_no): public for till_id, key_no, public in
                      disk.execute("SELECT till_id, key_no, public FROM till_key")}  # fmt: skip
        for stream in sorted(self._genesis):
            self.hashes[stream] = self._walk(stream)
        self.kept = self._evidence()
        odd = "SELECT till_id, epoch, seq, state FROM event WHERE state <> 'posted'"
        self.state = {(till_id, epoch, seq): state for till_id, epoch, seq, state in disk.execute(odd)}
        found = "SELECT DISTINCT till_id, epoch, seq FROM flag WHERE seq > 0"
        self.flagged = set(disk.execute(found))
        self.posted = self._posted()
        self.balances = self._balances()

    def has(self, place: Place) -> bool:
        """Whether this very event stands in its stream here."""
        till_id, epoch, seq, hash_ = place
        stream = self.hashes.get((till_id, epoch), [])
        return seq <= len(stream) and stream[seq - 1] == hash_

    def places(self) -> Iterator[Place]:
        """Every event that stands in a stream of a till."""
        for (till_id, epoch), hashes in self.hashes.items():
            yield from ((till_id, epoch, seq, hash_) for seq, hash_ in enumerate(hashes, 1))

    def _walk(self, stream: Stream) -> list[str]:
        """Batches laid end to end: no gap, signed by the till, each event on the one before, up to the head."""
        hashes: list[str] = []
        query = (
            "SELECT first_seq, last_seq, posted_from, header, signature, body FROM batch"
            " WHERE till_id = ? AND epoch = ? ORDER BY last_seq"
        )
        for batch in map(Batch._make, self.disk.execute(query, stream)):
            if batch.posted_from != len(hashes) + 1:
                self.wrongs.append(f"chain: {stream} goes on at {batch.posted_from} after {len(hashes)}")
                return hashes
            if not self._is_signed(stream, batch):
                self.wrongs.append(f"chain: the batch of {stream} up to {batch.last_seq} is not signed by its till")
            raw = zlib.decompress(batch.body)
            if holds_number(raw, self._cards):
                self.wrongs.append(f"card number: in the events of {stream} up to {batch.last_seq}")
            lines = raw.split(b"\n")[batch.posted_from - batch.first_seq : -1]
            hashes += chain(stream, self._genesis[stream], hashes[-1] if hashes else _ZERO, len(hashes), lines)
        head = self.disk.execute("SELECT seq, hash FROM stream WHERE till_id = ? AND epoch = ?", stream).fetchone()
        if tuple(head) != (len(hashes), hashes[-1] if hashes else _ZERO):
            self.wrongs.append(f"chain: the batches of {stream} end at {len(hashes)}, the stream stands at {head[0]}")
        count = "SELECT count(*) FROM event WHERE till_id = ? AND epoch = ?"
        indexed = self.disk.execute(count, stream).fetchone()[0]
        if indexed != len(hashes):
            self.wrongs.append(f"events: {stream} has {len(hashes)} in its batches and {indexed} in the index")
        return hashes

    def _is_signed(self, stream: Stream, batch: Batch) -> bool:
        header = json.loads(batch.header)
        public = self._keys.get((stream[0], header["key_no"]), _ZERO)
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
                batch.signature, b"TP-BATCH1\0" + batch.header
            )
        except InvalidSignature:
            return False
        return bool(header["body_sha256"] == hashlib.sha256(batch.body).hexdigest())

    def _evidence(self) -> set[Place]:
        """Events in batches that were put aside."""
        kept: set[Place] = set()
        for till_id, evidence in self.disk.execute("SELECT till_id, evidence FROM quarantine"):
            end = 2 + int.from_bytes(evidence[:2], "big")
            header = json.loads(evidence[2:end])
            if "first_seq" not in header:
                continue  # a hello that proves something, no events
            stream = (till_id, header["epoch"])
            lines = zlib.decompress(evidence[end + 64 :]).split(b"\n")[:-1]
            before = header["first_seq"] - 1
            if genesis := self._genesis.get(stream):
                hashes = chain(stream, genesis, header["prev_hash"], before, lines)
                kept |= {(*stream, seq, hash_) for seq, hash_ in enumerate(hashes, before + 1)}
        return kept

    def _posted(self) -> Counter[str]:
        kinds = "('receipt.v1', 'return.v1', 'void.v1', 'return_void.v1')"
        posted = f"SELECT receipt_id FROM event WHERE state = 'posted' AND kind IN {kinds}"
        return Counter(receipt_id for (receipt_id,) in self.disk.execute(posted))

    def _balances(self) -> dict[int, int]:
        summed: dict[int, int] = defaultdict(int)
        for sign, table in ((1, "lot"), (1, "lease_slice"), (-1, "debt")):
            for account, points in self.disk.execute(f"SELECT account_id, sum(points) FROM {table} GROUP BY 1"):
                summed[account] += sign * points
        return dict(summed)

    def waiting(self) -> int:
        """Events that wait for one which has not come, and marks that nobody has numbered."""
        return sum(int(self.disk.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in
                   ("waiting", "changed"))  # fmt: skip


def chain(stream: Stream, genesis: bytes, before: str, seq: int, lines: Iterable[bytes]) -> list[str]:
    """The hash after each event: SHA-256 over place, hash before, and the keyed digest of its bytes."""
    start = b"TP-EV1" + bytes.fromhex(stream[0]) + stream[1].to_bytes(4, "big")
    hashes, last = [], bytes.fromhex(before)
    for line in lines:
        seq += 1
        digest = hmac.digest(genesis, line, "sha256")
        last = hashlib.sha256(start + seq.to_bytes(8, "big") + last + digest).digest()
        hashes.append(last.hex())
    return hashes


def copies_at(centre: sqlite3.Connection) -> dict[int, tuple[int, int, tuple[str, ...]]]:
    """What every till should have of each member: version, points, cards."""
    points: dict[int, int] = defaultdict(int)
    for table in ("lot", "lease_slice"):
        for account, some in centre.execute(f"SELECT account_id, sum(points) FROM {table} GROUP BY 1"):
            points[account] += some
    cards = _cards_at(centre)
    versions = centre.execute("SELECT account_id, version FROM account WHERE status <> 'closed'")
    return {account: (version, points[account], tuple(cards[account])) for account, version in versions}


def blocked_at(disk: sqlite3.Connection, *, told: str = "WHERE lifted = 0") -> frozenset[str]:
    """Cards that are not served, at head office; with `told` "" at a till."""
    return frozenset(token for (token,) in disk.execute(f"SELECT card_token FROM hotlist {told}"))


def till_copies(cache: sqlite3.Connection) -> dict[int, tuple[int, int, tuple[str, ...]]]:
    """What a till has of each member. Which cards lead to one its index of cards says, by which it finds whoever stands
    there; a row names those of the day on which it was told."""
    found, cards = {}, _cards_at(cache)
    for account, version, row in cache.execute("SELECT account_id, version, row FROM member"):
        found[account] = (version, json.loads(row)["row"].get("balance_points", 0), tuple(cards[account]))
    return found


def _cards_at(disk: sqlite3.Connection) -> dict[int, list[str]]:
    cards: dict[int, list[str]] = defaultdict(list)
    for account, token in disk.execute("SELECT account_id, card_token FROM card ORDER BY card_token"):
        cards[account].append(token)
    return cards


def uses_beyond(journal: sqlite3.Connection, cache: sqlite3.Connection, epoch: int) -> int:
    """Uses of a till's own that are added to a row of its members: those that are written down, and those that the
    newest events say. What a row holds may stay behind when a till ends
    between its two files, and counts no more; so may those of an account that was closed, of which no row is left.
    """
    held = {account: json.loads(row)["row"].get("own_seq", 0) for account, row in
            cache.execute("SELECT account_id, row FROM member")}  # fmt: skip
    kept = "SELECT account_id, seq FROM own_use WHERE account_id <> 0 AND epoch = ?"
    uses = journal.execute(kept, (epoch,)).fetchall()
    for seq, payload in journal.execute(
        "SELECT e.seq, e.payload FROM event e JOIN stream s ON s.epoch = e.epoch AND e.seq > s.uses_seq"
        " WHERE e.epoch = ?", (epoch,)
    ):  # fmt: skip
        told = json.loads(payload)
        # Of leases only what goes back is counted.
        if told.get("what", "returned") == "returned" and (told["type"] == "void.v1" or _ADDING & told.keys()):
            uses.append((told.get("account_id"), seq))
    return sum(account in held and seq > held[account] for account, seq in uses)


def holds_number(data: bytes, cards: frozenset[str]) -> bool:
    """Whether one of these card numbers stands anywhere in bytes. They are all as long and begin alike."""
    some, last = min(cards), max(cards)
    start = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, last, strict=True))).encode()
    at = data.find(start)
    while at >= 0:
        if data[at : at + len(some)].decode("latin-1") in cards:
            return True
        at = data.find(start, at + 1)
    return False
