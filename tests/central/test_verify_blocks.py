"""Blocks that somebody changed, and streams that are not what their blocks say: each named at the first that breaks."""

import re
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, select, update

from central.database import tables as t
from central.ports import SystemClock, writing
from central.streams.sealing import Sealer
from central.verify.books import Verified, verify_books
from sync.blocks import Block, seal_block
from sync.keys import Signer, one_key
from tests.central.busy_day import Day, busy_day, run
from tests.central.tills import Centre, told


@pytest.fixture
def day(centre: Centre) -> Day:
    """Three blocks over a busy day."""
    made = busy_day(centre)
    sealer = Sealer(centre.engine, centre.signer, SystemClock())
    sealer.seal()
    for n in range(2):
        made.acme.sell(f"R{20 + n}", 1_000, told(made.anna))
        made.acme.upload()
        sealer.seal()
    return made


def verify(centre: Centre) -> Verified:
    return verify_books(centre.engine, one_key(centre.signer.public))


def broken(centre: Centre) -> list[tuple[str, str]]:
    return [(one.code, one.about) for one in verify(centre).violations if one.code.startswith("block.")]


def body_of(day: Day, block_no: int) -> Block:
    (row,) = day.centre.rows(select(t.block.c.body).where(t.block.c.block_no == block_no))
    return msgspec.json.decode(row[0], type=Block)


def test_blocks_as_they_were_sealed_verify(day: Day) -> None:
    found = verify(day.centre)
    assert (found.blocks, found.violations) == (3, ())


def test_a_block_that_was_changed_is_named_by_its_hash(day: Day) -> None:
    changed = msgspec.structs.replace(body_of(day, 2), sealed_at_ms=1)
    here = t.block.c.block_no == 2
    run(day.centre, update(t.block).where(here).values(body=msgspec.json.encode(changed), sealed_at_ms=1))
    assert broken(day.centre) == [("block.hash", "2")]


def test_a_block_sealed_anew_by_somebody_else_breaks_its_seal_and_the_link_behind_it(day: Day) -> None:
    changed = msgspec.structs.replace(body_of(day, 2), sealed_at_ms=1)
    forged = seal_block(changed, Signer(b"X" * 32))
    values = {"body": forged.body.encode(), "hash": forged.hash, "signature": bytes.fromhex(forged.signature),
              "sealed_at_ms": 1}  # fmt: skip
    run(day.centre, update(t.block).where(t.block.c.block_no == 2).values(values))
    assert broken(day.centre) == [("block.seal", "2"), ("block.link", "3")]


def test_a_block_that_is_missing_leaves_a_gap(day: Day) -> None:
    run(day.centre, delete(t.block).where(t.block.c.block_no == 2))
    assert broken(day.centre)[:2] == [("block.gap", "3"), ("block.link", "3")]


def test_blocks_cut_off_at_the_end_are_missed_by_what_was_sealed(day: Day) -> None:
    run(day.centre, delete(t.block).where(t.block.c.block_no == 3))
    assert broken(day.centre) == [("block.sealed", f"{day.acme.head.till_id}/1")]


def test_a_stream_cut_off_at_its_end_no_longer_holds_what_a_block_names(day: Day) -> None:
    till_id, seq = day.acme.head.till_id, day.acme.head.seq
    before = day.acme.events[seq - 2]
    run(day.centre, delete(t.batch).where(t.batch.c.till_id == till_id, t.batch.c.last_seq == seq))
    stream = update(t.stream).where(t.stream.c.till_id == till_id)
    run(day.centre, stream.values(seq=before.seq, hash=before.hash))
    assert broken(day.centre) == [("block.head", f"3: {till_id}/1 at {seq}")]


def test_a_block_that_cannot_be_read_is_named_and_the_walk_goes_on(day: Day) -> None:
    run(day.centre, update(t.block).where(t.block.c.block_no == 1).values(body=b"{"))
    assert broken(day.centre)[:2] == [("block.hash", "1"), ("block.unreadable", "1")]


def test_a_block_that_takes_a_stream_back_is_named(day: Day) -> None:
    (newest,) = day.centre.rows(select(t.block.c.hash).where(t.block.c.block_no == 3))
    back = Block(block_no=4, prev_hash=newest[0], sealed_at_ms=0, heads=body_of(day, 2).heads)
    made = seal_block(back, day.centre.signer)
    values = {"block_no": 4, "prev_hash": newest[0], "hash": made.hash, "body": made.body.encode(),
              "signature": bytes.fromhex(made.signature), "key_no": 1, "sealed_at_ms": 0}  # fmt: skip
    with writing(day.centre.engine) as tx:
        tx.execute(t.block.insert().values(**values))
    till_id = day.acme.head.till_id
    assert broken(day.centre) == [
        ("block.order", f"4: {till_id}/1 at {back.heads[0].seq}"), ("block.sealed", f"{till_id}/1"),
    ]  # fmt: skip


def test_without_the_centres_key_seals_are_not_looked_at(day: Day) -> None:
    run(day.centre, update(t.block).where(t.block.c.block_no == 3).values(signature=b"\0" * 64))
    assert broken(day.centre) == [("block.seal", "3")]
    assert verify_books(day.centre.engine).violations == ()


def test_the_page_on_blocks_lists_every_violation() -> None:
    root = Path(__file__).parents[2]
    code = (root / "central" / "verify" / "blocks.py").read_text("utf-8")
    page = (root / "docs" / "sealing.md").read_text("utf-8")
    assert set(re.findall(r"`(block\.[a-z]+)`", page)) == set(re.findall(r'"(block\.[a-z]+)"', code))
