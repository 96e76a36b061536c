"""Both services asked whatever their OpenAPI documents allow: nothing fails, and every answer is as documented."""

import zlib
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import schemathesis
from schemathesis import GenerationMode

from central.verify.books import verify_books
from sync.desk import DESK_ASK_TAG, DESK_PATH, DeskAsk
from sync.framing import open_signed, sha256
from sync.leaving import LEAVE_PATH, LEAVE_TAG, Leave
from sync.rotation import CENTRE_KEYS_PATH, KEYS_ASK_TAG, NEW_KEY_PATH, NEW_KEY_TAG, KeysAsk, NewKey
from sync.wire import (
    ASK_TAG,
    BATCH_PATH,
    BATCH_TAG,
    CHUNK_ASK_TAG,
    CHUNK_PATH,
    CONTENT_TYPE,
    DIGEST_ASK_TAG,
    DIGEST_PATH,
    HELLO_PATH,
    HELLO_TAG,
    LEASE_ASK_TAG,
    LEASE_PATH,
    PAGE_PATH,
    PROBLEM_TAG,
    SALVAGE_PATH,
    SNAPSHOT_ASK_TAG,
    SNAPSHOT_PATH,
    URGENT_PATH,
    BatchHeader,
    ChunkAsk,
    DigestAsk,
    Hello,
    LeaseAsk,
    PageAsk,
    Problem,
    SnapshotAsk,
)
from tests.edge.rim import CARD, Rim
from tests.faults.asked import ask_all, document_of
from tests.faults.lengths import rounds
from tests.sync.fuzz_envelope import Fuzzer

WITHOUT_END = ("/events",)
SIGNED: dict[str, tuple[bytes, type[msgspec.Struct]]] = {
    HELLO_PATH: (HELLO_TAG, Hello),
    BATCH_PATH: (BATCH_TAG, BatchHeader),
    SALVAGE_PATH: (BATCH_TAG, BatchHeader),
    PAGE_PATH: (ASK_TAG, PageAsk),
    URGENT_PATH: (ASK_TAG, PageAsk),
    SNAPSHOT_PATH: (SNAPSHOT_ASK_TAG, SnapshotAsk),
    CHUNK_PATH: (CHUNK_ASK_TAG, ChunkAsk),
    DIGEST_PATH: (DIGEST_ASK_TAG, DigestAsk),
    LEASE_PATH: (LEASE_ASK_TAG, LeaseAsk),
    DESK_PATH: (DESK_ASK_TAG, DeskAsk),
    LEAVE_PATH: (LEAVE_TAG, Leave),
    NEW_KEY_PATH: (NEW_KEY_TAG, NewKey),
    CENTRE_KEYS_PATH: (KEYS_ASK_TAG, KeysAsk),
}


def test_the_till_answers_whatever_its_document_allows_as_it_says(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    seen = ask_all(document_of(rim.app), seconds=rounds(1, 600), leave_out=WITHOUT_END)
    print(seen)
    assert {name.rsplit(" ", 1)[1] for name in seen} >= {"200", "400", "404", "422"}


def test_the_till_answers_what_is_meant_for_it_as_it_says(tmp_path: Path) -> None:
    """The same with this till's currency, no other place, and a card that it knows: most of it is then carried out."""
    rim = Rim(tmp_path)
    seen = ask_all(
        document_of(rim.app, _meant_for), seconds=rounds(0, 600), leave_out=WITHOUT_END,
        ways=(GenerationMode.POSITIVE,), examples=12,
    )  # fmt: skip
    print(seen)
    done = {name.split(" positive ")[0] for name in seen if name.endswith((" 200", " 201"))}
    assert done >= {"POST /v1/quotes", "POST /v1/receipts", "POST /v1/parked", "POST /v1/day-close"}


def _meant_for(document: dict[str, Any]) -> None:
    for kind, schema in document["components"]["schemas"].items():
        for name, part in schema.get("properties", {}).items():
            if not kind.endswith(("Body", "Slip", "ExchangedReturn", "ExchangedSale")):
                continue
            if name in ("store_id", "till_id") or (name == "hold_id" and kind != "HoldBody"):
                schema["properties"][name] = {"type": "null"}
            elif name == "currency":
                # Where it may be left out, an answer that tells the body again says so.
                schema["properties"][name] = {"enum": ["EUR", None]} if "anyOf" in part else {"const": "EUR"}
            elif name == "cards":
                part["maxItems"] = 0
            elif name == "card" and kind in ("QuoteBody", "CommitBody", "ReturnBody", "ParkBody", "HoldBody"):
                schema["properties"][name] = {"enum": [CARD, None] if kind != "HoldBody" else [CARD]}


def test_the_centre_answers_whatever_its_document_allows_as_it_says(tmp_path: Path) -> None:
    fuzzer = Fuzzer(tmp_path, 1)
    # No body of bytes is against a document that says bytes.
    ways = (GenerationMode.POSITIVE,)
    seen = ask_all(document_of(fuzzer.client.application), seconds=rounds(2, 120), ways=ways)
    print(seen)
    assert any(name.endswith(" 400") for name in seen)


def test_what_a_real_till_signs_is_answered_in_words_whatever_it_says(tmp_path: Path) -> None:
    """The document says bytes; these are the messages inside them, signed as they go out."""
    fuzzer, n = Fuzzer(tmp_path, 2), count()

    def send(case: Any) -> int:
        tag, _ = SIGNED[case.path]
        said, turn = case.body, next(n)
        if isinstance(said, dict) and turn % 4:
            till = fuzzer.fresh_victim()
            said = {**said, **msgspec.to_builtins(till._says())}
            if turn % 4 == 1:
                said |= {"head_seq": till.head.seq, "head_hash": till.head.hash, "install_id": till.install}
        body = zlib.compress(b"{}\n") if tag == BATCH_TAG else b""
        if isinstance(said, dict) and body and turn % 2:
            said |= {"body_sha256": sha256(body), "raw_bytes": 3}
        data = fuzzer.signed_with(tag, msgspec.json.encode(said), body)
        answer = fuzzer.client.post(case.path, data=data, content_type=CONTENT_TYPE)
        assert answer.status_code < 500, (case.path, data)
        if answer.status_code >= 400 and answer.data:
            problem, _ = open_signed(PROBLEM_TAG, answer.data, Problem, fuzzer.keys)
            assert problem.answers == sha256(data)
        return answer.status_code

    schema = schemathesis.openapi.from_dict(_messages())
    seen = ask_all(schema, seconds=rounds(5, 300), send=send)
    print(seen)
    answered = {name.rsplit(" ", 1)[1] for name in seen}
    assert answered >= {"200", "400", "401"}
    fuzzer.look_at_the_others()
    assert verify_books(fuzzer.centre.engine, fuzzer.keys).violations == ()


def _messages() -> dict[str, Any]:
    """A document whose bodies are the messages themselves."""
    kinds = [kind for _, kind in SIGNED.values()]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    paths = {
        path: {"post": {"requestBody": {"required": True, "content": {"application/json": {
            "schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}},
            "responses": {"default": {"description": "A signed answer"}}}}
        for path, (_, kind) in SIGNED.items()
    }  # fmt: skip
    info = {"title": "messages of TPS/1", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
