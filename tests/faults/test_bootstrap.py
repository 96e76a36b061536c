"""A till that begins anew over a bad line: by chunks, each taken once, never without the rows it has, repaired by
itself. Head office on both engines, the line in virtual time."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
from sqlalchemy import select, update

from central.database import tables as t
from central.database.lanes import forget_tombstones, mark_changed
from central.database.rows import put
from central.members.members import set_facts
from central.ports import reading, writing
from central.tills.snapshots import SnapshotMaker
from loyalty.members import MemberRow, PublishedMember
from loyalty.programme.programme import read_programme
from tallypoint.in_process import Node, StoryClock
from tests.central.tills import COALITION, NOW
from tests.edge.counter import PROGRAMME, commit, line, sale
from tests.faults.crowd import account_of, token_of
from tests.faults.slow_line import SlowCoalition

DAY = 86_400_000
MEMBERS = 600


@pytest.fixture
def shop(central_url: str, tmp_path: Path) -> Iterator[SlowCoalition]:
    made = SlowCoalition(tmp_path / "shop", StoryClock(NOW), COALITION, central_url)
    made.publish(read_programme(PROGRAMME))
    made.maker = SnapshotMaker(made.engine, made.clock, rows=100)
    yield made
    made.close()


def enter_members(shop: SlowCoalition, count: int, first: int = 0) -> None:
    """Members with a card and some points each, a third at home nowhere, in S1, in S2."""
    numbers = range(first, first + count)
    with writing(shop.engine) as tx:
        put(tx, t.account, [{"account_id": account_of(n), "version": 1} for n in numbers])
        put(tx, t.card, [{"card_token": token_of(n), "account_id": account_of(n), "since_ms": NOW} for n in numbers])
        put(tx, t.member, [{"account_id": account_of(n), "tier": ["", "gold"][n % 2],
                            "home_store_id": ["", "S1", "S2"][n % 3]} for n in numbers])  # fmt: skip
        put(tx, t.lot, [{"account_id": account_of(n), "valid_through": "2027-12-31", "issuer_id": "acme",
                         "terms_id": "acme-1", "points": n} for n in numbers])  # fmt: skip
        put(tx, t.use, [{"account_id": account_of(n), "account_version": 1, "name": "promo:milk", "amount": 1,
                         "by_till": "ff" * 16, "by_epoch": 1, "by_seq": n + 1} for n in numbers])  # fmt: skip
        mark_changed(tx, {account_of(n) for n in numbers}, f"entered {first}")


def rows_here(node: Node) -> dict[int, PublishedMember]:
    """Every member that a till has, as it has them, without what is said to one till alone."""
    rows = node.cache._database.rows("SELECT row FROM member")
    members = [msgspec.json.decode(row, type=PublishedMember) for (row,) in rows]
    return {one.row.account_id: msgspec.structs.replace(one, row=msgspec.structs.replace(one.row, own_seq=0))
            for one in members}  # fmt: skip


def cards_here(node: Node) -> dict[str, int]:
    return dict(node.cache._database.rows("SELECT card_token, account_id FROM card"))  # type: ignore[arg-type]


def chunks_of(shop: SlowCoalition) -> list:
    with reading(shop.engine) as connection:
        return list(connection.execute(select(t.chunk.c.wire_bytes, t.chunk.c.home, t.chunk.c.part)))


def reopened(shop: SlowCoalition, node: Node, label: str, store: str = "S1") -> Node:
    """The till's service started again."""
    node.journal.close()
    node.cache.close()
    shop.nodes.remove(node)
    return shop.add_till(store, label)


def digest_agrees(shop: SlowCoalition, node: Node) -> None:
    """Every part has its turn, and none is wrong."""
    repairs, compared = node.uplink.status().session.repairs, asked(shop, "digests")
    for _ in range(12):
        shop.clock.move(610_000)
        shop.sync(node)
    assert asked(shop, "digests") >= compared + 11
    assert node.uplink.status().session.repairs == repairs


def update_row(writer, account_id: int) -> None:
    (row,) = writer.execute("SELECT row FROM member WHERE account_id = ?", (account_id,)).fetchone()
    member = msgspec.json.decode(row, type=PublishedMember)
    counters = member.row.counters and ()
    richer = msgspec.structs.replace(member.row, balance_points=member.row.balance_points + 1_000, counters=counters)
    told = msgspec.json.encode(msgspec.structs.replace(member, row=richer))
    writer.execute("UPDATE member SET row = ? WHERE account_id = ?", (told, account_id))


def make_up(writer, account_id: int) -> None:
    member = PublishedMember(row=MemberRow(account_id=account_id, version=99, balance_points=5_000), cards=("ee" * 16,))
    row = account_id, 99, msgspec.json.encode(member)
    writer.execute("INSERT INTO member (account_id, version, row) VALUES (?, ?, ?)", row)
    writer.execute("INSERT INTO card (card_token, account_id) VALUES (?, ?)", ("ee" * 16, account_id))


def asked(shop: SlowCoalition, path: str) -> int:
    return sum(1 for one, _, _ in shop.carried if one == path)


def test_a_till_begins_from_chunks_and_ends_with_what_pages_would_have_told(shop: SlowCoalition) -> None:
    enter_members(shop, MEMBERS)
    by_pages = shop.add_till("S1", "pages")
    shop.sync(by_pages)
    assert asked(shop, "chunks") == 0
    # 600 of everybody in eight parts, 200 of each of two stores in two.
    assert shop.make_chunks() == 12
    by_chunks = shop.add_till("S1", "chunks")
    shop.sync(by_chunks)
    assert by_chunks.uplink.status().session.chunks_left == 0
    assert asked(shop, "snapshots") == 1
    assert asked(shop, "chunks") == 10
    assert rows_here(by_chunks) == rows_here(by_pages)
    assert cards_here(by_chunks) == cards_here(by_pages) == {token_of(n): account_of(n) for n in range(MEMBERS)}
    ours, theirs, nobodys = (rows_here(by_chunks)[account_of(n)] for n in (1, 2, 3))
    assert (ours.home, len(ours.row.counters or ())) == (True, 1)
    assert (theirs.home, theirs.row.counters) == (False, None)
    assert (nobodys.home, len(nobodys.row.counters or ())) == (False, 1)
    assert by_chunks.cache.lane("members").version == by_pages.cache.lane("members").version == MEMBERS
    # What changes afterwards comes by pages, to both.
    enter_members(shop, 5, MEMBERS)
    shop.clock.move(120_000)
    shop.sync(by_chunks)
    shop.sync(by_pages)
    assert rows_here(by_chunks) == rows_here(by_pages)
    assert len(rows_here(by_chunks)) == MEMBERS + 5


def test_own_store_members_come_first_and_can_be_served_while_the_rest_is_on_its_way(shop: SlowCoalition) -> None:
    enter_members(shop, MEMBERS)
    shop.make_chunks()
    node = shop.add_till("S1", "till")
    seen = []
    for _ in range(40):
        shop.clock.move(node.uplink.run_once())
        left = node.uplink.status().session.chunks_left
        if left and (not seen or left != seen[-1]):
            seen.append(left)
            here = rows_here(node)
            if left == 8:
                assert {*here} == {account_of(n) for n in range(1, MEMBERS, 3)}
                assert node.till.balance(token_of(1)).view.balance_points == 1
                assert node.till.balance(token_of(2)).view.account_id is None
                before = node.journal.head().seq
                node.till.commit(commit("early", sale(line(1, "bread", 500), card=token_of(2))))
                assert node.journal.head().seq == before + 1
    assert seen[:3] == [10, 9, 8]


def test_a_line_that_breaks_all_the_time_costs_an_answer_each_and_a_restart_one_chunk(shop: SlowCoalition) -> None:
    enter_members(shop, MEMBERS)
    shop.make_chunks()
    whole = shop.add_till("S2", "whole")
    before = shop.down
    shop.sync(whole)
    clean = shop.down - before
    node, dice = shop.add_till("S1", "till"), Random("cuts")
    start, cut, taken = shop.down, shop.cut, len(shop.carried)
    shop.cut_after = sorted(start + dice.randrange(clean) for _ in range(25))
    for turn in range(400):
        shop.clock.move(node.uplink.run_once())
        if turn % 10 == 9:
            node = reopened(shop, node, "till")
    shop.sync(node)
    assert not shop.cut_after
    assert {*rows_here(node)} == {account_of(n) for n in range(MEMBERS)}
    # Ten chunks came, each of one answer, or of its rest after what had come before a cut; no restart cost one.
    assert [path for path, _, _ in shop.carried[taken:]].count("chunks") == 10
    assert 0 < shop.cut - cut < 25 * 4_000
    digest_agrees(shop, node)


def test_a_row_that_was_changed_lost_or_made_up_at_the_till_is_found_and_that_part_alone_fetched(
    shop: SlowCoalition,
) -> None:
    enter_members(shop, MEMBERS)
    shop.make_chunks()
    node = shop.add_till("S1", "till")
    shop.sync(node)
    enter_members(shop, 3, MEMBERS)  # told by pages, after the chunks
    shop.clock.move(120_000)
    shop.sync(node)
    good, good_cards = rows_here(node), cards_here(node)
    database = node.cache._database
    ninth = token_of(9)
    tampered = {
        "changed": (update_row, account_of(3)),
        "told by a page": (update_row, account_of(MEMBERS + 1)),
        "our own store's counters": (update_row, account_of(1)),
        "lost": ("DELETE FROM member WHERE account_id = ?", account_of(7)),
        "made up": (make_up, 4_000_000_000_000_000),
        "a card that leads elsewhere": (f"UPDATE card SET account_id = ? WHERE card_token = '{ninth}'", account_of(12)),
        "a card that is gone": ("DELETE FROM card WHERE account_id = ?", account_of(20)),
        "bytes that are no row": ("UPDATE member SET row = x'00ff' WHERE account_id = ?", account_of(30)),
    }
    for name, (harm, one) in tampered.items():
        with database.writing() as writer:
            writer.execute(harm, (one,)) if isinstance(harm, str) else harm(writer, one)
        repairs, start = node.uplink.status().session.repairs, len(shop.carried)
        for _ in range(12):  # every part has its turn
            shop.clock.move(610_000)
            shop.sync(node)
        assert node.uplink.status().session.repairs > repairs, name
        assert (rows_here(node), cards_here(node)) == (good, good_cards), name
        fetched = sum(size for path, size, _ in shop.carried[start:] if path == "pages")
        assert fetched < 60_000, name  # 600 rows are more
    repairs = node.uplink.status().session.repairs
    for _ in range(12):
        shop.clock.move(610_000)
        shop.sync(node)
    assert node.uplink.status().session.repairs == repairs  # nothing is wrong any more


def test_a_till_that_was_away_for_too_long_begins_anew_and_is_never_without_its_rows(shop: SlowCoalition) -> None:
    enter_members(shop, MEMBERS)
    node = shop.add_till("S1", "till")
    shop.sync(node)
    gone, moved = account_of(1), account_of(4)
    with writing(shop.engine) as tx:
        forget_tombstones(tx, shop.clock.wall_ms())
        tx.execute(update(t.account).where(t.account.c.account_id == gone).values(status="closed"))
        set_facts(tx, moved, shop.randomness, home_store_id="S2")
        mark_changed(tx, {gone}, "closed")
    other = shop.add_till("S2", "other")
    shop.sync(other)
    with writing(shop.engine) as tx:
        forget_tombstones(tx, shop.clock.wall_ms())
    shop.clock.move(91 * DAY)
    enter_members(shop, 1, MEMBERS)
    shop.sync(other)
    with writing(shop.engine) as tx:
        assert forget_tombstones(tx, shop.clock.wall_ms()) == 1
    shop.make_chunks()
    fewest, start = MEMBERS, len(shop.carried)
    for _ in range(60):
        shop.clock.move(min(node.uplink.run_once(), 60_000))
        fewest = min(fewest, len(rows_here(node)))
    shop.sync(node)
    assert [path for path, _, _ in shop.carried[start:]].count("snapshots") == 1
    assert fewest >= MEMBERS - 1
    assert {*rows_here(node)} == {account_of(n) for n in range(MEMBERS + 1)} - {gone}
    assert rows_here(node)[moved].home is False
    assert rows_here(node)[moved].row.counters is None
    # One that was told in time went on by pages.
    assert {*rows_here(other)} == {*rows_here(node)}
    digest_agrees(shop, node)
    digest_agrees(shop, other)
