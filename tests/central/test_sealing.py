"""What committed is sealed once, in order, by whoever seals; tills and copies remember it for a centre that forgets."""

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select, text

from central.backups.restoring import note_restore
from central.database import tables as t
from central.database.tables import APPEND_ONLY
from central.ports import reading, writing
from central.settlement.closing import close_period
from central.settlement.issued import read_statement
from central.streams.block_copies import CopyFailed, copy_path, read_copy
from central.streams.sealing import Sealer, newest_block
from central.upkeep.chores import chores_of, drain
from central.verify.books import verify_books
from sync.blocks import Block, BlockMark, block_hash, seal_holds
from sync.chain import ZERO_HASH
from sync.keys import one_key
from sync.wire import Ack
from tests.central.tills import MINUTE, NOW, Centre, CentreClock, told

MARCH = date(2026, 3, 31)


@pytest.fixture
def sealer(centre: Centre) -> Sealer:
    return Sealer(centre.engine, centre.signer, CentreClock(centre))


def blocks(centre: Centre) -> list[Block]:
    rows = centre.rows(select(t.block.c.body).order_by(t.block.c.block_no))
    return [msgspec.json.decode(body, type=Block) for (body,) in rows]


def newest(centre: Centre) -> BlockMark:
    with reading(centre.engine) as tx:
        return newest_block(tx)


def heads(made: Block) -> list[tuple[str, int, str]]:
    return [(head.till_id, head.seq, head.hash) for head in made.heads]


def lose_blocks(centre: Centre, after: int) -> None:
    """As a restore from a backup does it."""
    with writing(centre.engine) as tx:
        if centre.engine.dialect.name == "sqlite":
            for table in APPEND_ONLY:
                tx.execute(text(f"DROP TRIGGER {table}_no_delete"))
        tx.execute(delete(t.sealed).where(t.sealed.c.block_no > after))
        tx.execute(delete(t.block).where(t.block.c.block_no > after))


def test_a_block_names_the_head_of_every_stream_that_moved(centre: Centre, sealer: Sealer) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    one.sell("R1", 1_000)
    one.sell("R2", 1_000)
    one.upload()
    other.sell("R1", 1_000)
    other.upload()
    # Two tills, and two streams of the centre's own: each upload was answered with a float.
    assert sealer.seal() == 4
    (first,) = blocks(centre)
    own = centre.rows(select(t.stream.c.till_id, t.stream.c.seq, t.stream.c.hash).where(t.stream.c.state == "centre"))
    tills = [(till.head.till_id, till.head.seq, till.head.hash) for till in (one, other)]
    assert heads(first) == sorted([*tills, *own])
    assert (first.block_no, first.prev_hash, first.sealed_at_ms) == (1, ZERO_HASH, NOW)


def test_the_next_block_names_only_what_moved_since_and_the_block_before(centre: Centre, sealer: Sealer) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    for till in (one, other):
        till.sell("R1", 1_000)
        till.upload()
    sealer.seal()
    other.sell("R2", 1_000)
    other.upload()
    assert sealer.seal() == 1
    _, second = blocks(centre)
    assert heads(second) == [(other.head.till_id, 2, other.head.hash)]
    (row,) = centre.rows(select(t.block.c.hash, t.block.c.body, t.block.c.signature).where(t.block.c.block_no == 2))
    assert row[0] == block_hash(second.prev_hash, row[1])
    assert seal_holds(centre.signer.public, row[0], row[2])
    assert second.prev_hash == centre.rows(select(t.block.c.hash).where(t.block.c.block_no == 1))[0][0]


def test_nothing_that_moved_makes_no_block(centre: Centre, sealer: Sealer) -> None:
    centre.till("S1")
    assert sealer.seal() == 0
    assert newest(centre) == BlockMark()


def test_sealers_at_once_leave_one_chain_that_names_everything_once(centre: Centre) -> None:
    till = centre.till()
    sealers = [Sealer(centre.engine, centre.signer, CentreClock(centre)) for _ in range(4)]
    stop, failed = threading.Event(), []

    def keep_sealing(one: Sealer) -> None:
        try:
            while not stop.is_set():
                one.seal()
        except Exception as trouble:  # noqa: BLE001 - any at all fails the test
            failed.append(trouble)

    threads = [threading.Thread(target=keep_sealing, args=(one,)) for one in sealers]
    for thread in threads:
        thread.start()
    for n in range(12):
        till.sell(f"R{n}", 1_000)
        till.upload()
    stop.set()
    for thread in threads:
        thread.join(20)
    sealers[0].seal()
    assert failed == []
    chain = blocks(centre)
    assert [one.block_no for one in chain] == list(range(1, len(chain) + 1))
    hashes = [hash_ for (hash_,) in centre.rows(select(t.block.c.hash).order_by(t.block.c.block_no))]
    assert [one.prev_hash for one in chain] == [ZERO_HASH, *hashes[:-1]]
    named = [head for one in chain for head in heads(one) if head[0] == till.head.till_id]
    assert [seq for _, seq, _ in named] == sorted({seq for _, seq, _ in named})
    assert named[-1] == (till.head.till_id, 12, till.head.hash)


def test_a_centre_seals_every_two_seconds_one_block_a_round(centre: Centre, sealer: Sealer) -> None:
    chores = chores_of(centre.engine, centre.store, sealer, CentreClock(centre), centre.random, 7)
    (seal,) = [one for one in chores if one.name == "seal"]
    assert seal.every_s == 2
    till = centre.till()
    till.sell("R1", 1_000)
    till.upload()
    assert drain(seal, CentreClock(centre)) == 0
    assert newest(centre).block_no == 1


def test_many_streams_are_sealed_in_blocks_of_bounded_size_at_once(centre: Centre) -> None:
    sealer = Sealer(centre.engine, centre.signer, CentreClock(centre), most_heads=3)
    tills = [centre.till() for _ in range(4)]
    for till in tills:
        till.sell("R1", 1_000)
        till.upload()
    # Four tills, and four streams of their floats.
    assert sealer.seal() == 8
    chain = blocks(centre)
    assert [(one.block_no, len(one.heads)) for one in chain] == [(1, 3), (2, 3), (3, 2)]
    hashes = [hash_ for (hash_,) in centre.rows(select(t.block.c.hash).order_by(t.block.c.block_no))]
    assert [one.prev_hash for one in chain] == [ZERO_HASH, *hashes[:-1]]
    named = sorted(head[0] for one in chain for head in heads(one))
    assert named == sorted(row[0] for row in centre.rows(select(t.stream.c.till_id)))
    assert verify_books(centre.engine, one_key(centre.signer.public)).violations == ()
    assert sealer.seal() == 0


def test_a_round_ends_though_streams_keep_moving(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves while a round is sealed is for the next one, once a block was not full."""
    sealer = Sealer(centre.engine, centre.signer, CentreClock(centre), most_heads=3)
    till = centre.till()
    till.sell("R1", 1_000)
    till.upload()
    seal_one = sealer._seal

    def moving() -> int:
        named = seal_one()
        till.sell(f"R{till.head.seq + 1}", 1_000)
        till.upload()
        return named

    monkeypatch.setattr(sealer, "_seal", moving)
    assert sealer.seal() == 2
    assert newest(centre).block_no == 1


# Told and remembered


def test_acknowledgements_and_hellos_tell_the_newest_block(centre: Centre, sealer: Sealer) -> None:
    till = centre.till()
    till.sell("R1", 1_000)
    assert till.upload().block_no == 0
    sealer.seal()
    till.sell("R2", 1_000)
    ack, hello = till.upload(), till.hello()
    assert (ack.block_no, ack.block_hash) == (1, newest(centre).hash)
    assert (hello.block_no, hello.block_hash) == (1, newest(centre).hash)


def alarms(centre: Centre) -> list[str]:
    return [cause for seq, cause in centre.flags() if seq == 0]


def test_a_till_that_knows_the_newest_block_raises_no_alarm(centre: Centre, sealer: Sealer) -> None:
    till = centre.till()
    till.sell("R1", 1_000)
    till.upload()
    sealer.seal()
    till.hello(newest(centre))
    till.hello(BlockMark())
    assert alarms(centre) == []


def test_a_till_that_saw_a_later_block_tells_a_restored_centre_what_it_lost(centre: Centre, sealer: Sealer) -> None:
    till = centre.till()
    for n in range(3):
        till.sell(f"R{n}", 1_000)
        till.upload()
        sealer.seal()
    seen = newest(centre)
    lose_blocks(centre, after=2)
    till.hello(seen)
    assert alarms(centre) == ["block_lost"]
    assert centre.figures("block_lost") == {
        "epoch": 1, "told_no": 3, "told_hash": seen.hash, "block_no": 2,
    }  # fmt: skip


def test_a_restore_that_was_noted_begins_a_generation_in_which_tills_believe_lower_blocks(centre: Centre) -> None:
    till = centre.till()
    assert till.hello().generation == 0
    with writing(centre.engine) as tx:
        assert note_restore(tx) == 1
    answer = till.hello()
    assert (answer.generation, answer.lanes.programme) == (1, 1_000_000_001)


def test_a_till_that_was_told_another_block_of_a_number_is_heard(centre: Centre, sealer: Sealer) -> None:
    till = centre.till()
    till.sell("R1", 1_000)
    till.upload()
    sealer.seal()
    till.hello(BlockMark(block_no=1, hash="ee" * 32))
    assert alarms(centre) == ["block_differs"]


def test_a_till_that_saw_another_block_says_so_before_an_acknowledgement_makes_it_forget(
    centre: Centre, sealer: Sealer
) -> None:
    till = centre.till()
    for n in range(2):
        till.sell(f"R{n}", 1_000)
        till.upload()
        sealer.seal()
    till.sell("R2", 1_000)
    other = {"block": BlockMark(block_no=1, hash="ee" * 32)}
    assert isinstance(ack := till.send(till.batch(**other)), Ack)
    # The till goes on with block 2, and its next hello would raise nothing.
    assert ack.block_no == 2
    assert alarms(centre) == ["block_differs"]
    assert centre.figures("block_differs")["told_hash"] == "ee" * 32


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_batch_that_names_a_block_of_ours_raises_nothing(centre: Centre, sealer: Sealer, number: int) -> None:
    till = centre.till()
    marks = [BlockMark()]
    for n in range(2):
        till.sell(f"R{n}", 1_000)
        till.upload()
        sealer.seal()
        marks.append(newest(centre))
    till.sell("R2", 1_000)
    till.send(till.batch(block=marks[number]))
    assert alarms(centre) == []


def test_a_batch_that_names_a_later_block_than_is_here_tells_of_the_loss(centre: Centre, sealer: Sealer) -> None:
    till = centre.till()
    till.sell("R1", 1_000)
    till.send(till.batch(block=BlockMark(block_no=7, hash="77" * 32)))
    assert alarms(centre) == ["block_lost"]


def test_a_statement_names_the_block_it_was_made_at(centre: Centre, sealer: Sealer) -> None:
    till = centre.till()
    till.sell("R1", 10_000, told(centre.member()))
    till.upload()
    sealer.seal()
    till.sell("R2", 10_000)
    till.upload()
    close_period(centre.engine, period_no=1, through=MARCH, now_ms=centre.now, seal=sealer.seal)
    with reading(centre.engine) as tx:
        made, _ = read_statement(tx, "1:acme")
    assert (made.block_no, made.block_hash) == (2, newest(centre).hash)
    assert (till.head.till_id, 2, till.head.hash) in heads(blocks(centre)[1])


def test_without_a_sealer_a_statement_names_no_block(centre: Centre) -> None:
    close_period(centre.engine, period_no=1, through=MARCH, now_ms=centre.now)
    with reading(centre.engine) as tx:
        made, _ = read_statement(tx, "1:acme")
    assert (made.block_no, made.block_hash) == (0, "")


# Copies


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "copies"


@pytest.fixture
def copier(centre: Centre, folder: Path) -> Sealer:
    return Sealer(centre.engine, centre.signer, CentreClock(centre), folder)


def sold_and_sealed(centre: Centre, sealer: Sealer, rounds: int) -> Any:
    till = centre.till()
    for n in range(rounds):
        till.sell(f"R{n}", 1_000)
        till.upload()
        sealer.seal()
        centre.now += MINUTE
    return till


def test_every_block_is_copied_out_as_it_was_sealed(centre: Centre, copier: Sealer, folder: Path) -> None:
    sold_and_sealed(centre, copier, 2)
    copies = sorted(folder.rglob("*"))
    assert [path.name[:12] for path in copies] == ["000000", "000000000001", "000000000002"]
    kept = read_copy(copy_path(folder, newest(centre)))
    assert (kept.block_no, kept.hash) == (2, newest(centre).hash)
    assert block_hash(blocks(centre)[1].prev_hash, kept.body.encode()) == kept.hash
    assert seal_holds(centre.signer.public, kept.hash, bytes.fromhex(kept.signature))


def test_blocks_sealed_before_there_was_a_folder_are_copied_too(
    centre: Centre, sealer: Sealer, copier: Sealer, folder: Path
) -> None:
    sold_and_sealed(centre, sealer, 3)
    assert copier.seal() == 0
    assert len(list(folder.rglob("*.json"))) == 3


def test_a_folder_that_fails_costs_no_block_and_gets_it_later(centre: Centre, copier: Sealer, folder: Path) -> None:
    folder.write_text("a file where a folder should be")
    with pytest.raises(CopyFailed):
        sold_and_sealed(centre, copier, 1)
    assert newest(centre).block_no == 1
    folder.unlink()
    copier.seal()
    assert len(list(folder.rglob("*.json"))) == 1


def test_copies_later_than_the_newest_block_raise_the_alarm(centre: Centre, copier: Sealer) -> None:
    sold_and_sealed(centre, copier, 3)
    lose_blocks(centre, after=1)
    centre.now += MINUTE
    copier.seal()
    assert alarms(centre) == ["block_lost"]
    copier.seal()
    assert centre.rows(select(t.flag.c.times)) == [(1,)]
    # The streams' newest heads were sealed again as another block 2, which lies beside the first one.
    assert centre.figures("block_lost") == {"block_no": 2, "copied": 3}
