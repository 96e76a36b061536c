"""Bytes that no till would send, at a centre in process: `python -m tests.sync.fuzz_envelope SECONDS [SEED]`.

Messages are flipped, cut, spliced and made to lie about lengths; and, signed by a real till's key so that they get past
the door, they lie in every field, inflate to much more than they say, and hold events that nobody could have meant.
Whatever comes: no answer is a 5xx, none takes 64 MiB, every refusal is signed, and another till uploads undisturbed.
"""

import itertools
import sys
import tempfile
import time
import tracemalloc
import zlib
from collections import Counter
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from flask import Flask
from sqlalchemy import select

from central.database.tables import event
from central.ports import reading
from central.posting.books import Unpostable
from central.tills.sync_http import PATHS, sync_blueprint
from central.verify.books import verify_books
from loyalty.facts.events import encode
from sync.framing import open_signed, sha256, split
from sync.keys import one_key
from sync.wire import (
    ASK_TAG,
    BATCH_PATH,
    BATCH_TAG,
    ENROL_PATH,
    HELLO_PATH,
    HELLO_TAG,
    LEASE_ASK_TAG,
    LEASE_PATH,
    PAGE_PATH,
    PROBLEM_TAG,
    Hello,
    Lanes,
    LeaseAsk,
    PageAsk,
    Problem,
)
from tests.central.tills import Centre, CentreClock, Till, told

MOST_BYTES = 64 * 1024 * 1024
LIES_A_TILL = 40  # after so many signed lies a till is stopped for good; a new one goes on
TAGS = {HELLO_PATH: HELLO_TAG, BATCH_PATH: BATCH_TAG, PAGE_PATH: ASK_TAG, LEASE_PATH: LEASE_ASK_TAG}
WILD: list[Any] = [
    -1, 0, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**400, -(2**63), 1e308, 1.5, "", "\0", "a" * 201, "a" * 60_000,
    "é" * 200, "0" * 32, "f" * 64, "g" * 64, None, True, [], {}, [[]], {"a": {}}, "\ud7ff", "1", "../../etc/passwd",
    "'; DROP TABLE batch; --",
]  # fmt: skip


class Broken(AssertionError):
    """What a request did that none may do."""


class Fuzzer:
    """One centre, its victims, and one till that nobody touches.

    Args:
        seed: the same seed sends the same bytes.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.centre = Centre(f"sqlite:///{folder / 'centre.db'}")
        app = Flask("fuzzed")
        clock = CentreClock(self.centre)
        app.register_blueprint(sync_blueprint(self.centre.session, self.centre.store, clock, self.centre.random, 4))
        self.client = app.test_client()
        self.anna = self.centre.member()
        self.bystander = self.centre.till("S2")
        self.victim = self.centre.till()
        self.lies = 0
        self.counts: Counter[str] = Counter()
        self.names = itertools.count(1)
        self.peak = 0
        self.keys = one_key(self.centre.signer.public)

    def run(self, *, rounds: int | None = None, seconds: float = 0) -> Counter[str]:
        """So many requests, or as many as fit; how many of each kind got which answer."""
        ends = time.monotonic() + seconds
        tracemalloc.start()
        try:
            for n in itertools.count(1):
                if n > rounds if rounds is not None else time.monotonic() > ends:
                    return self.counts
                self.one()
                if n % 25 == 0:
                    self.look_at_the_others()
        finally:
            tracemalloc.stop()
        return self.counts

    def one(self) -> None:
        """One request, and what it did."""
        how = self.random.choice([self.bytes_, self.spliced, self.length, self.field, self.bomb, self.event, self.deep])
        path, data = how()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        answer = self.client.post(path, data=data, content_type="application/vnd.tallypoint.sync")
        body = answer.get_data()
        peak = tracemalloc.get_traced_memory()[1] - before
        self.peak = max(self.peak, peak)
        name = how.__name__
        self.counts[f"{name} {answer.status_code}"] += 1
        if answer.status_code >= 500:
            raise Broken(f"{name} at {path} was answered {answer.status_code}: {data[:200]!r}")
        if peak > MOST_BYTES:
            raise Broken(f"{name} at {path} took {peak} bytes")
        if answer.status_code >= 400 and body:
            problem, _ = open_signed(PROBLEM_TAG, body, Problem, self.keys)
            if problem.answers != sha256(data):
                raise Broken(f"{name} at {path}: the refusal answers another request")

    def look_at_the_others(self) -> None:
        """The bystander sells and uploads, and hears an acknowledgement."""
        self.bystander.sell(f"B{next(self.names)}", 500)
        self.bystander.upload()

    # Unsigned nonsense

    def bytes_(self) -> tuple[str, bytes]:
        """Flipped, cut, grown or drawn."""
        path, data = self.valid()
        what = self.random.randrange(5)
        changed = bytearray(data)
        if what == 0:
            for _ in range(self.random.randint(1, 8)):
                changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
        elif what == 1:
            del changed[self.random.randrange(len(changed)) :]
        elif what == 2:
            changed += self.random.randbytes(self.random.choice([1, 64, 5_000]))
        elif what == 3:
            at = self.random.randrange(len(changed))
            del changed[at : at + self.random.randint(1, 40)]
        else:
            changed = bytearray(self.random.randbytes(self.random.choice([0, 1, 2, 66, 4_000, 320 * 1024, 330 * 1024])))
        return self.random.choice([path, *PATHS]), bytes(changed)

    def spliced(self) -> tuple[str, bytes]:
        """The head of one message and the tail of another."""
        path, one = self.valid()
        _, two = self.valid()
        return path, one[: self.random.randrange(len(one))] + two[self.random.randrange(len(two)) :]

    def length(self) -> tuple[str, bytes]:
        """A length that lies."""
        path, data = self.valid()
        lie = self.random.choice([0, 1, len(data) - 66, len(data) - 2, 0xFFFF, self.random.randrange(0x10000)])
        return path, (lie & 0xFFFF).to_bytes(2, "big") + data[2:]

    # Signed lies

    def field(self) -> tuple[str, bytes]:
        """A field, or two, of a signed message that says anything at all."""
        path, data = self.valid()
        if path == ENROL_PATH:
            return path, data
        parts = split(data)
        said = msgspec.json.decode(parts.json)
        for _ in range(self.random.randint(1, 2)):
            name = self.random.choice([*said, "surplus"])
            if name not in ("till_id", "key_no") or self.random.random() < 0.2:
                said[name] = self.random.choice(WILD)
        return path, self.signed(path, _json(said), parts.body)

    def bomb(self) -> tuple[str, bytes]:
        """A body that inflates to more, less or otherwise than its signed header says."""
        path, data = BATCH_PATH, self.batch()
        parts = split(data)
        said = msgspec.json.decode(parts.json)
        size = self.random.choice([0, 1, 24, 2 * 1024 * 1024, 2 * 1024 * 1024 + 1, 60_000_000])
        raw = self.random.choice([bytes(size), b"\n" * size, (b"{}\n" * (size // 3 + 1))[:size]])
        body = zlib.compress(raw, 9) + self.random.choice([b"", b"x", zlib.compress(raw[:100])])
        said["raw_bytes"] = self.random.choice([size, 0, 1, 2 * 1024 * 1024, 2**63 - 1])
        said["body_sha256"] = sha256(body)
        said["last_seq"] = said["first_seq"] + self.random.choice([0, 1, 499, 500, 10**9])
        return path, self.signed(path, _json(said), body)

    def deep(self) -> tuple[str, bytes]:
        """JSON that is nested as deep as it fits."""
        path = self.random.choice([HELLO_PATH, BATCH_PATH, PAGE_PATH, LEASE_PATH])
        opening, closing = self.random.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'{"cursors":', b"}")])
        times = 65_000 // (len(opening) + len(closing))
        json = opening * times + b"1" + closing * times
        return path, self.signed(path, self.random.choice([json, b'{"proto":1,"x":' + json[:60_000], json[:-7]]), b"")

    def event(self) -> tuple[str, bytes]:
        """A batch that is well made around events that are not: they are kept, and the next goes on."""
        till = self.fresh_victim()
        for _ in range(self.random.randint(1, 4)):
            receipt = till.receipt(f"R{next(self.names)}", 1_000, told(self.anna))
            plain = msgspec.json.decode(encode(receipt))
            self._spoil(plain)
            line = self.random.choice([_json(plain), _json(plain)[: self.random.randint(1, 400)], b"[" * 5_000, b"{}"])
            till.append(line.replace(b"\n", b" ") or b"{}")
        data = till.batch()
        till.sent = till.head.seq
        return BATCH_PATH, data

    def _spoil(self, plain: Any) -> None:
        for _ in range(self.random.randint(1, 3)):
            place = plain
            while True:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                if not keys:
                    break
                key = self.random.choice(keys)
                if isinstance(place[key], dict | list) and place[key] and self.random.random() < 0.7:
                    place = place[key]
                    continue
                place[key] = deepcopy(self.random.choice(WILD))  # what is spoilt in one must not be in the other
                break

    # What is right

    def fresh_victim(self) -> Till:
        """A till whose stream still goes on."""
        self.lies += 1
        if self.lies % LIES_A_TILL == 0:
            self.victim = self.centre.till()
        return self.victim

    def valid(self) -> tuple[str, bytes]:
        """A message that would have been taken."""
        till = self.fresh_victim()
        kind = self.random.randrange(4)
        says = till._says()
        if kind == 0:
            return BATCH_PATH, self.batch()
        if kind == 1:
            head = till.head
            said = Hello(
                **says, head_seq=head.seq, head_hash=head.hash, acked_seq=0, acked_hash="0" * 64,
                install_id=till.install, boot="b", version="1", backlog=0, cursors=Lanes(), grants=0,
            )  # fmt: skip
            return HELLO_PATH, self.signed(HELLO_PATH, msgspec.json.encode(said), b"")
        if kind == 2:
            lane = self.random.choice(["hotlist", "programme", "members"])
            ask = PageAsk(**says, lane=lane, cursor="", limit=10)
            return PAGE_PATH, self.signed(PAGE_PATH, msgspec.json.encode(ask), b"")
        wish = LeaseAsk(**says, request_id=f"H{next(self.names)}", account_id=self.anna, points=10)
        return LEASE_PATH, self.signed(LEASE_PATH, msgspec.json.encode(wish), b"")

    def batch(self) -> bytes:
        """A sealed batch of one sale at the victim's head, which nobody takes in good order."""
        till = self.fresh_victim()
        kept = till.head, list(till.events)
        till.sell(f"R{next(self.names)}", 1_000, told(self.anna))
        data = till.batch(first=till.head.seq)
        till.head, till.events = kept
        return data

    def signed(self, path: str, json: bytes, body: bytes) -> bytes:
        """A message of the victim, whatever it says."""
        return self.signed_with(TAGS[path], json, body)

    def signed_with(self, tag: bytes, json: bytes, body: bytes) -> bytes:
        """The same under any tag."""
        json = json[:0xFFFF]
        signature = self.victim.signer.sign(tag + json)
        return len(json).to_bytes(2, "big") + json + signature + body


def _json(value: Any) -> bytes:
    """JSON also of what our own encoder refuses."""
    import json

    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def fuzz(seed: int, *, rounds: int | None = None, seconds: float = 0) -> tuple[Counter[str], int]:
    """One run; counts of answers, and the most bytes that one request took. Raises: Broken."""
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), seed)
        counts = fuzzer.run(rounds=rounds, seconds=seconds)
        # What a till wrote into the detail of its own receipt is its own affair; verify says so, and the books stand.
        found = verify_books(fuzzer.centre.engine, fuzzer.keys).violations
        violations = [one for one in found if not one.code.startswith("receipt.")]
        with reading(fuzzer.centre.engine) as tx:
            tripped = tx.execute(select(event.c.seq).where(event.c.reason == Unpostable.code)).all()
        fuzzer.centre.engine.dispose()
    if violations:
        raise Broken(f"the books do not add up any more: {violations[:3]}")
    if tripped:
        raise Broken(f"head office trips over {len(tripped)} events")
    return counts, fuzzer.peak


if __name__ == "__main__":
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    print(f"seed {chosen}")
    answered, most = fuzz(chosen, seconds=float(sys.argv[1]))
    for line, number in sorted(answered.items()):
        print(f"{number:>8} {line}")
    print(f"{sum(answered.values())} requests, at most {most / 2**20:.1f} MiB each; nothing broke.")
