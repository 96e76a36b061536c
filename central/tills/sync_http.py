"""The routes for tills: bytes in, bytes out; beside them the centre's OpenAPI document and a health check.

Admission comes before the body is read, so that a herd of tills is turned away cheaply. Source: sync.md section 4.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any, Literal

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import text

from central.ports import Clock, Randomness, reading
from central.tills.store import SqlCentreStore
from sync.centre_session import CentreSession
from sync.desk import DESK_PATH
from sync.envelope import MAX_BODY_BYTES
from sync.leaving import LEAVE_PATH
from sync.pacing import DRAW_BITS, admit
from sync.rotation import CENTRE_KEYS_PATH, NEW_KEY_PATH
from sync.wire import (
    BATCH_PATH,
    CHUNK_PATH,
    CONTENT_TYPE,
    DIGEST_PATH,
    ENROL_PATH,
    HELLO_PATH,
    LEASE_PATH,
    PAGE_PATH,
    SALVAGE_PATH,
    SNAPSHOT_PATH,
    URGENT_PATH,
)

EACH_MS = 320  # what a full batch was seen to take on a small machine
PATHS = {
    ENROL_PATH: "Claim an enrolment slot with a one-time code",
    HELLO_PATH: "Say where the till stands",
    BATCH_PATH: "Upload events",
    PAGE_PATH: "Fetch members",
    LEASE_PATH: "Set points aside for a sale",
    DESK_PATH: "Card numbers, members, consents and claims at the counter",
    SALVAGE_PATH: "Upload events of an enrolment that is over",
    LEAVE_PATH: "Give a place back",
    URGENT_PATH: "Fetch hotlist or programme, let in first",
    SNAPSHOT_PATH: "From which chunks to begin the members",
    CHUNK_PATH: "Fetch bytes of a chunk",
    DIGEST_PATH: "What a part of the members comes to",
    NEW_KEY_PATH: "Take a till's new key",
    CENTRE_KEYS_PATH: "Which keys of the centre came after one",
}
# Any bytes fit the document, so any of them may be refused; each refusal is signed and says why in words.
REFUSALS = {
    400: "No message of TPS/1, or one that cannot be",
    401: "Not signed by the till that it names",
    403: "Not this till, or not any more",
    404: "No such till, code or chunk",
    409: "It does not follow on what is here",
    410: "What it goes on from is not kept any more",
    426: "A protocol that is not spoken here",
}
Kind = Literal["urgent", "upload", "members"]
KINDS: dict[str, Kind] = {
    NEW_KEY_PATH: "urgent", CENTRE_KEYS_PATH: "urgent", ENROL_PATH: "urgent", HELLO_PATH: "urgent",
    URGENT_PATH: "urgent", LEASE_PATH: "urgent", DESK_PATH: "urgent", PAGE_PATH: "members", SNAPSHOT_PATH: "members",
    CHUNK_PATH: "members", DIGEST_PATH: "members",
}  # fmt: skip


class Gate:
    """Lets twice as many requests in as can run, and tells the others when to come again.

    Hotlist and programme, hellos, enrolments and points for a sale at hand have places of their own besides, so that no
    herd of uploads keeps them out; members may have half of the others' places, so that they do not keep out uploads.

    Args:
        mono_ms: the monotonic clock, by which those told to come again are expected.
    """

    def __init__(self, workers: int, randomness: Randomness, mono_ms: Callable[[], int] = lambda: 0) -> None:
        self._workers = workers
        self._randomness = randomness
        self._mono_ms = mono_ms
        self._inside: Counter[Kind] = Counter()
        self._outside: list[int] = []  # when each is expected, a heap
        self._lock = threading.Lock()

    @contextmanager
    def enter(self, kind: Kind = "upload") -> Iterator[int]:
        """0 for the way in, else the seconds after which to try again."""
        draw = int.from_bytes(self._randomness.bytes(DRAW_BITS // 8), "big")
        with self._lock:
            wait_s = self._admit(kind, draw)
            self._inside[kind] += wait_s == 0
        try:
            yield wait_s
        finally:
            with self._lock:
                self._inside[kind] -= wait_s == 0

    def _admit(self, kind: Kind, draw: int) -> int:
        now_ms = self._mono_ms()
        while self._outside and self._outside[0] <= now_ms:
            heappop(self._outside)
        inside, places = self._inside, 2 * self._workers
        if kind == "urgent":
            waiting, places = inside.total(), places + reserved_places(self._workers)
        elif kind == "upload" or inside["members"] < self._workers:
            waiting = inside["upload"] + inside["members"]
        else:
            waiting, places = inside["members"], self._workers
        # What is urgent does not queue behind those who were sent away.
        outside = 0 if kind == "urgent" else len(self._outside)
        wait_s = admit(waiting, workers=self._workers, each_ms=EACH_MS, draw=draw, outside=outside, places=places)
        if wait_s and kind != "urgent":
            heappush(self._outside, now_ms + 1000 * wait_s)
        return wait_s


def reserved_places(workers: int) -> int:
    """Places that only what is urgent may take."""
    return max(2, workers // 2)


def sync_blueprint(
    session: CentreSession, store: SqlCentreStore, clock: Clock, randomness: Randomness, workers: int = 4
) -> Blueprint:
    """Routes for tills over one session and store."""
    routes, gate = Blueprint("sync", __name__), Gate(workers, randomness, clock.mono_ms)

    def answer() -> Response:
        with gate.enter(KINDS.get(request.path, "upload")) as wait_s:
            if wait_s:
                return Response(status=503, headers={"Retry-After": str(wait_s)})
            if (request.content_length or MAX_BODY_BYTES + 1) > MAX_BODY_BYTES:
                return Response(status=413, content_type=CONTENT_TYPE)
            said = session.answer(clock.wall_ms(), request.path, request.get_data(cache=False), store)
            headers = {"Retry-After": str(said.retry_after_s)} if said.retry_after_s is not None else {}
            return Response(said.body, said.status, headers, content_type=CONTENT_TYPE)

    for path in PATHS:
        routes.add_url_rule(path, endpoint=path.replace("/", "_"), view_func=answer, methods=["POST"])
    routes.add_url_rule("/healthz", view_func=_health(store))
    routes.add_url_rule("/openapi.json", view_func=lambda: jsonify(openapi()))
    return routes


def _health(store: SqlCentreStore) -> Callable[[], tuple[dict[str, str], int]]:
    def healthz() -> tuple[dict[str, str], int]:
        with reading(store.engine) as connection:
            connection.execute(text("SELECT 1"))
        return {"status": "ok"}, 200

    return healthz


def openapi() -> dict[str, Any]:
    """What the centre offers to machines. The bodies are TPS/1 messages, which docs/protocol.md describes."""
    binary = {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    paths: dict[str, Any] = {}
    for path, summary in PATHS.items():
        answers: dict[str, Any] = {
            "200": {"description": "A signed answer", "content": binary},
            **{str(status): {"description": says, "content": binary} for status, says in REFUSALS.items()},
            "413": {"description": "The body is larger than 320 KiB, or empty", "content": binary},
            "503": {"description": "Come again after Retry-After seconds"},
        }
        said = {"operationId": path.rsplit("/", 1)[1], "summary": summary, "responses": answers}
        paths[path] = {"post": {**said, "requestBody": {"required": True, "content": binary}}}
    paths["/healthz"] = {"get": {"operationId": "health", "summary": "Whether the centre and its database answer",
                                 "responses": {"200": {"description": "They do"}}}}  # fmt: skip
    info = {"title": "Tallypoint centre", "version": "1", "description": "The centre's side of TPS/1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths}
