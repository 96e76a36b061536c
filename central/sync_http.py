"""The routes for tills: bytes in, bytes out; beside them the centre's OpenAPI document and a health check.

Admission comes before the body is read, so that a herd of tills is turned away cheaply. Source: sync.md section 4.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import text

from central.ports import Clock, Randomness, reading
from central.store import SqlCentreStore
from sync.centre_session import CentreSession
from sync.envelope import MAX_BODY_BYTES
from sync.pacing import DRAW_BITS, admit
from sync.wire import BATCH_PATH, CONTENT_TYPE, ENROL_PATH, HELLO_PATH, LEASE_PATH, PAGE_PATH

EACH_MS = 320  # what a full batch was seen to take on a small machine
PATHS = {
    ENROL_PATH: "Claim an enrolment slot with a one-time code",
    HELLO_PATH: "Say where the till stands",
    BATCH_PATH: "Upload events",
    PAGE_PATH: "Fetch hotlist, programme or members",
    LEASE_PATH: "Set points aside for a sale",
}


class Gate:
    """Lets twice as many requests in as can run, and tells the others when to come again."""

    def __init__(self, workers: int, randomness: Randomness) -> None:
        self._workers = workers
        self._randomness = randomness
        self._inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def enter(self) -> Iterator[int]:
        """0 for the way in, else the seconds after which to try again."""
        draw = int.from_bytes(self._randomness.bytes(DRAW_BITS // 8), "big")
        with self._lock:
            wait_s = admit(self._inside, workers=self._workers, each_ms=EACH_MS, draw=draw)
            self._inside += wait_s == 0
        try:
            yield wait_s
        finally:
            with self._lock:
                self._inside -= wait_s == 0


def sync_blueprint(
    session: CentreSession, store: SqlCentreStore, clock: Clock, randomness: Randomness, workers: int = 4
) -> Blueprint:
    """Routes for tills over one session and store."""
    routes, gate = Blueprint("sync", __name__), Gate(workers, randomness)

    def answer() -> Response:
        with gate.enter() as wait_s:
            if wait_s:
                return Response(status=503, headers={"Retry-After": str(wait_s)})
            if (request.content_length or MAX_BODY_BYTES + 1) > MAX_BODY_BYTES:
                return Response(status=413)
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
            "4XX": {"description": "A signed refusal", "content": binary},
            "413": {"description": "The body is larger than 320 KiB"},
            "503": {"description": "Come again after Retry-After seconds"},
        }
        said = {"operationId": path.rsplit("/", 1)[1], "summary": summary, "responses": answers}
        paths[path] = {"post": {**said, "requestBody": {"required": True, "content": binary}}}
    paths["/healthz"] = {"get": {"operationId": "health", "summary": "Whether the centre and its database answer",
                                 "responses": {"200": {"description": "They do"}}}}  # fmt: skip
    info = {"title": "Tallypoint centre", "version": "1", "description": "The centre's side of TPS/1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths}
