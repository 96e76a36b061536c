"""What any ledger owes whoever trusts it, asked of ours over the code that posts in production, many at a time."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, make_url, select, text

from central.database import tables as t
from central.migrations import upgrade
from central.ports import Settings, SystemRandomness, open_engine, reading, writing
from central.posting.transfers import KEY_REUSED, TransferAsk, asked, stream_of, transfer
from central.service import central_app
from central.verify.books import verify_books
from loyalty.trouble import CODES, InvariantBroken
from sync.keys import one_key
from tests.central.kit import FUNDING, Ledger, chained, credit, debit, sums
from tests.support.lent_databases import LentDatabases, copied


@pytest.fixture
def ledger(central_url: str) -> Iterator[Ledger]:
    made = Ledger(central_url)
    yield made
    made.engine.dispose()


def balanced(ledger: Ledger) -> bool:
    """Every transaction comes to nothing in each of its currencies."""
    return set(sums(ledger.journal(), lambda one: (one.transaction_id, one.currency)).values()) <= {0}


# Structure


def test_every_transaction_is_balanced_per_currency(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    ledger.move("t1", "a", "b", 4_000)
    done = ledger.post(
        "t2", debit("a", 100), credit("b", 60), credit("c", 40), debit("b", 9, "EUR"), credit("a", 9, "EUR"),
        overdraft=True,
    )  # fmt: skip
    assert done.status == "APPLIED"
    assert len(ledger.journal()) == 9
    assert balanced(ledger)


@pytest.mark.parametrize(
    "legs",
    [
        (),
        (debit("a", 100),),
        (debit("a", 100), credit("b", 99)),
        (debit("a", 0), credit("b", 0)),
        (debit("a", -100), credit("b", -100)),
        (debit("a", 10**15 + 1), credit("b", 10**15 + 1)),
    ],
)
def test_what_does_not_balance_or_moves_nothing_is_rejected_and_leaves_no_trace(ledger: Ledger, legs: Any) -> None:
    done = ledger.post("t1", *legs, overdraft=True)
    assert (done.status, done.transaction_id) == ("REJECTED", "txn-t1")
    assert (done.reason or "").startswith("transfer.")
    assert ledger.journal() == []
    assert ledger.balance("a") == 0


def test_the_journal_only_ever_grows_at_its_end(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    before = ledger.journal()
    for n in range(3):
        ledger.move(f"t{n}", "a", "b", 100)
    assert ledger.journal()[: len(before)] == before
    assert [one.sequence for one in ledger.journal()] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_chain_is_intact_from_its_beginning(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    for n in range(5):
        ledger.move(f"t{n}", "a", "b", 100)
    entries = ledger.journal()
    hashes = chained(entries)
    assert [one.entry_hash for one in entries] == hashes
    assert [one.prev_hash for one in entries] == ["GENESIS", *hashes[:-1]]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE posting SET amount = amount + 1 WHERE by_seq = 3",
        "UPDATE posting SET source = 'available', target = 'moved' WHERE by_seq = 4",
        "UPDATE posting SET account_version = 7 WHERE by_seq = 3",
        "DELETE FROM posting WHERE by_seq = 4",
        "UPDATE centre_event SET hash = '{zeros}' WHERE seq = 2",
        "DELETE FROM centre_event WHERE seq = 4",
        "UPDATE sealed SET seq = 5",
    ],
)
def test_a_journal_that_somebody_changed_is_not_shown(ledger: Ledger, change: str) -> None:
    ledger.seed("a", 10_000)
    same_stream = next(key for n in range(1000) if stream_of(key := f"t{n}") == stream_of("seed:a"))
    ledger.move(same_stream, "a", "b", 100)
    assert len(ledger.journal()) == 4
    with writing(ledger.engine) as tx:
        if ledger.engine.dialect.name == "sqlite":
            for row in tx.execute(text("SELECT name FROM sqlite_schema WHERE type = 'trigger'")).all():
                tx.execute(text(f"DROP TRIGGER {row.name}"))
        assert tx.execute(text(change.format(zeros="0" * 64))).rowcount
    with pytest.raises(InvariantBroken):
        ledger.journal()


def test_its_books_verify_like_any_others_and_a_changed_balance_is_named(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    ledger.move("t1", "a", "b", 2_500)
    ledger.move("t2", "b", "c", 9_000, overdraft=True)
    ledger.journal()
    keys = one_key(ledger.signer.public)
    found = verify_books(ledger.engine, keys)
    assert (found.violations, found.events, found.accounts, found.blocks) == ((), 6, 4, 1)
    with writing(ledger.engine) as tx:
        tx.execute(text("UPDATE lot SET points = points + 1 WHERE points = 9000"))
    assert "lot.folded" in {one.code for one in verify_books(ledger.engine, keys).violations}


# The same again


def test_a_duplicate_changes_nothing_and_is_called_one(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    assert ledger.move("t1", "a", "b", 2_500).status == "APPLIED"
    again = ledger.move("t1", "a", "b", 2_500)
    assert (again.status, again.transaction_id) == ("DUPLICATE", "txn-t1")
    assert len(ledger.journal()) == 4
    assert ledger.balance("b") == 2_500


def test_sixty_four_duplicates_at_once_collapse_to_one(ledger: Ledger) -> None:
    ledger.seed("a", 100_000)
    answers = ledger.at_once(64, lambda _: ledger.move("race", "a", "b", 2_500))
    assert answers == {"APPLIED": 1, "DUPLICATE": 63}
    assert ledger.balance("b") == 2_500
    assert len(ledger.journal()) == 4


def test_a_duplicate_of_a_refused_transfer_is_refused_again_even_once_there_is_enough(ledger: Ledger) -> None:
    ledger.seed("a", 100)
    first = ledger.move("t1", "a", "b", 900)
    assert (first.status, first.reason) == ("REJECTED", "transfer.overdrawn")
    ledger.move("more", FUNDING, "a", 5_000, overdraft=True)
    again = ledger.move("t1", "a", "b", 900)
    assert (again.status, again.reason) == ("REJECTED", "transfer.overdrawn")
    assert (ledger.balance("a"), ledger.balance("b")) == (5_100, 0)
    assert ledger.move("t2", "a", "b", 900).status == "APPLIED"


def test_a_key_with_other_content_is_refused_and_the_first_stays(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    ledger.move("t1", "a", "b", 100)
    other = ledger.move("t1", "a", "b", 101)
    assert (other.status, other.reason) == ("REJECTED", "transfer.key_reused")
    assert ledger.move("t1", "a", "b", 100).status == "DUPLICATE"
    assert ledger.balance("b") == 100


# At once


def test_no_update_of_a_hot_account_is_lost(ledger: Ledger) -> None:
    answers = ledger.at_once(500, lambda n: ledger.move(f"hot-{n}", FUNDING, "hot", 100, overdraft=True))
    assert answers == {"APPLIED": 500}
    assert ledger.balance("hot") == 50_000
    assert ledger.balance(FUNDING) == -50_000
    assert len(ledger.journal()) == 1_000


def test_value_is_conserved_and_rebuilt_from_the_journal_while_many_transfer(ledger: Ledger) -> None:
    accounts = [f"acct:{n}" for n in range(8)]
    for one in accounts:
        ledger.seed(one, 10_000)
    answers = ledger.at_once(
        240, lambda n: ledger.move(f"mv-{n}", accounts[n % 8], accounts[(n + 3) % 8], 100, overdraft=True)
    )
    assert answers == {"APPLIED": 240}
    balances = {one: ledger.balance(one) for one in accounts}
    assert sum(balances.values()) == 80_000
    entries = ledger.journal()
    rebuilt = sums(entries, lambda one: one.account_id)
    assert rebuilt.pop(FUNDING) == -80_000
    assert rebuilt == balances
    assert balanced(ledger)
    assert in_sequence(entries)


def in_sequence(entries: Any) -> bool:
    """Each account's entries are numbered from 1 without a gap, in the order of the journal."""
    own = defaultdict(list)
    for one in entries:
        own[one.account_id].append(one.account_sequence)
    return all(numbers == list(range(1, len(numbers) + 1)) for numbers in own.values())


def test_what_is_kept_of_a_balance_is_what_was_posted(ledger: Ledger) -> None:
    ledger.seed("a", 50_000)
    ledger.at_once(60, lambda n: ledger.move(f"proj-{n}", "a", "b", 50))
    signed = func.sum(t.posting.c.amount).filter(t.posting.c.target == "available")
    spent = func.sum(t.posting.c.amount).filter(t.posting.c.source == "available")
    by_account = select(t.posting.c.account_id, func.coalesce(signed, 0) - func.coalesce(spent, 0))
    with writing(ledger.engine) as tx:
        posted = {tuple(row) for row in tx.execute(by_account.group_by(t.posting.c.account_id))}
        kept = {tuple(row) for row in tx.execute(select(t.lot.c.account_id, t.lot.c.points))}
    assert kept == posted
    assert ledger.balance("b") == 3_000


def test_an_account_drained_by_many_never_goes_below_nothing(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    answers = ledger.at_once(20, lambda n: ledger.move(f"drain-{n}", "a", f"b{n}", 1_000))
    assert answers == {"APPLIED": 10, "REJECTED": 10}
    assert ledger.balance("a") == 0
    assert sum(ledger.balance(f"b{n}") for n in range(20)) == 10_000


# Money


def test_many_small_movements_do_not_drift(ledger: Ledger) -> None:
    ledger.seed("a", 100_000)
    for n in range(200):
        assert ledger.move(f"penny-{n}", "a", "b", 1).status == "APPLIED"
    assert (ledger.balance("a"), ledger.balance("b")) == (99_800, 200)


def test_large_amounts_are_exact(ledger: Ledger) -> None:
    ledger.seed("a", 10**15)
    ledger.move("t1", "a", "b", 10**15 - 1)
    assert (ledger.balance("a"), ledger.balance("b")) == (1, 10**15 - 1)


def test_currencies_cannot_be_mixed(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    done = ledger.post("fx", debit("a", 1_000), credit("b", 1_000, "EUR"), overdraft=True)
    assert (done.status, done.reason) == ("REJECTED", "transfer.unbalanced")
    ledger.post("eur", debit(FUNDING, 70, "EUR"), credit("a", 70, "EUR"), overdraft=True)
    assert (ledger.balance("a"), ledger.balance("a", "EUR"), ledger.balance("a", "GBP")) == (10_000, 70, 0)
    assert ledger.post("eur2", debit("a", 71, "EUR"), credit("b", 71, "EUR")).status == "REJECTED"


def test_a_reversal_compensates_and_takes_nothing_away(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    ledger.move("orig", "a", "b", 3_000)
    original = ledger.journal()
    ledger.move("back", "b", "a", 3_000)
    after = ledger.journal()
    assert after[: len(original)] == original
    assert len(after) == len(original) + 2
    assert (ledger.balance("a"), ledger.balance("b")) == (10_000, 0)


def test_a_reset_leaves_nothing_and_the_ledger_goes_on(ledger: Ledger) -> None:
    ledger.seed("a", 10_000)
    ledger.journal()
    ledger.kit.reset()
    assert ledger.journal() == []
    assert ledger.balance("a") == 0
    with writing(ledger.engine) as tx:
        left = [one.name for one in (*t.metadata.sorted_tables, asked) if tx.execute(select(one)).first()]
    assert left == []
    ledger.seed("a", 500)
    assert [one.sequence for one in ledger.journal()] == [1, 2]


def test_after_a_reset_what_is_append_only_is_so_again_on_sqlite(tmp_path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'central.db'}")
    ledger.kit.reset()
    ledger.seed("a", 10_000)
    with pytest.raises(Exception, match="posting is append-only"), writing(ledger.engine) as tx:
        tx.execute(text("DELETE FROM posting"))
    ledger.engine.dispose()


def test_the_page_on_conformance_lists_every_reason() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")
    rules = {code for code in CODES if code.startswith("transfer.")}
    assert set(re.findall(r"`(transfer\.[a-z_]+)`", page)) == {*rules, KEY_REUSED}


# Over HTTP


@pytest.fixture(scope="module")
def scratch_databases(postgres_dsn: str) -> Iterator[LentDatabases]:
    lent = LentDatabases(postgres_dsn, "scratch")
    yield lent
    lent.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def scratch_url(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    if request.param == "sqlite":
        yield copied(request.getfixturevalue("central_file"), tmp_path / "scratch.db")
        return
    with request.getfixturevalue("scratch_databases").lent() as url:
        yield url


def client_of(url: str, tmp_path: Any, *, conformance: bool = True) -> Iterator[FlaskClient]:
    engine = open_engine(url)
    upgrade(engine)
    yield central_app(Settings(data_dir=str(tmp_path), database_url=url, conformance=conformance), engine).test_client()
    engine.dispose()


@pytest.fixture
def client(scratch_url: str, tmp_path) -> Iterator[FlaskClient]:
    yield from client_of(scratch_url, tmp_path)


def asked_for(key: str, amount: Any, *, overdraft: bool = True) -> dict[str, Any]:
    legs = [{"accountId": account, "type": type_, "amountSubunits": amount, "currency": "USD"}
            for account, type_ in (("acct:a", "DEBIT"), ("acct:b", "CREDIT"))]  # fmt: skip
    return {"idempotencyKey": key, "transactionId": "7f3a", "allowOverdraft": overdraft, "legs": legs}


def test_the_four_routes_answer_as_they_say(client: FlaskClient) -> None:
    assert client.post("/_lck/reset", json={}).status_code == 200
    applied = client.post("/_lck/post", json=asked_for("k1", 12_345))
    assert (applied.status_code, applied.json) == (200, {"status": "APPLIED", "transactionId": "7f3a", "reason": None})
    refused = client.post("/_lck/post", json=asked_for("k2", 1, overdraft=False))
    assert (refused.status_code, refused.json) == (
        200, {"status": "REJECTED", "transactionId": "7f3a", "reason": "transfer.overdrawn"},
    )  # fmt: skip
    assert client.get("/_lck/balance?account=acct:b&currency=USD").json == {"subunits": 12_345}
    assert client.get("/_lck/balance?account=nobody&currency=USD").json == {"subunits": 0}
    first, second = client.get("/_lck/journal").json
    assert first == {
        "entryId": "2:1:1", "transactionId": "7f3a", "accountId": "acct:a", "type": "DEBIT", "amountSubunits": 12_345,
        "currency": "USD", "sequence": 1, "accountSequence": 1, "prevHash": "GENESIS",
        # printf '%s' 'GENESIS|7f3a|acct:a|DEBIT|12345|USD|1' | sha256sum
        "entryHash": "6d1e01d29c0c86563f436eb888141c0aef33d69aae473c3fffee1d18372b61b1",
    }  # fmt: skip
    assert (second["type"], second["prevHash"]) == ("CREDIT", first["entryHash"])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"idempotencyKey": "k"}', b"\xff\xfe", b'{"idempotencyKey":"k","transactionId":"t","legs":1}'],
)
def test_what_cannot_be_read_is_a_problem(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/_lck/post", data=body)
    assert (answer.status_code, answer.json["code"]) == (400, "conformance.malformed")
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("amount", [1.5, "100", None])
def test_an_amount_is_a_whole_number(client: FlaskClient, amount: Any) -> None:
    assert client.post("/_lck/post", json=asked_for("k1", amount)).status_code == 400


def test_a_balance_is_of_an_account_and_a_currency(client: FlaskClient) -> None:
    assert client.get("/_lck/balance?account=a").json["code"] == "conformance.malformed"


@pytest.mark.postgresql
def test_a_server_is_asked_which_database_it_is(fresh_postgres, tmp_path) -> None:
    url = make_url(fresh_postgres())
    named = url.set(database="scratch", query={**url.query, "dbname": str(url.database)})
    for client in client_of(named.render_as_string(hide_password=False), tmp_path):
        assert client.post("/_lck/reset").status_code == 404


@pytest.mark.parametrize(
    ("name", "on"), [("central.db", True), ("scratch.db", False), ("central.db", False)]
)
def test_without_the_setting_and_a_scratch_database_there_are_no_such_routes(tmp_path, name: str, on: bool) -> None:
    folder = tmp_path / "scratch"
    for client in client_of(f"sqlite:///{folder / name}", tmp_path, conformance=on):
        assert client.post("/_lck/reset").status_code == 404
        assert client.post("/_lck/post", json=asked_for("k1", 1)).status_code == 404
        assert client.get("/_lck/balance?account=a&currency=USD").status_code == 404
        assert client.get("/_lck/journal").status_code == 404


# Streams


# SQLite has one writer.
@pytest.mark.postgresql
@pytest.mark.parametrize("central_url", ["postgresql"], indirect=True)
def test_transfers_of_different_accounts_do_not_wait_for_each_other(ledger: Ledger) -> None:
    for name in "abcd":
        ledger.seed(name, 1_000)
    first = next(key for n in range(1000) if stream_of(key := f"x{n}") != stream_of("y0"))
    ask = TransferAsk(idempotency_key=first, transaction_id="txn-x", legs=(debit("a", 10), credit("b", 10)))
    with writing(ledger.engine) as tx:
        transfer(tx, ask, 0, SystemRandomness())
        # The other is through while the first is not.
        assert ledger.move("y0", "c", "d", 10).status == "APPLIED"
        assert ledger.balance("d") == 1_010
    assert ledger.balance("b") == 1_010
    assert balanced(ledger)


def test_the_journal_of_many_streams_has_each_accounts_entries_in_the_order_of_its_versions(ledger: Ledger) -> None:
    for name in "abcdef":
        ledger.seed(name, 10_000)
    before = ledger.journal()
    names = "abcdef"
    answers = ledger.at_once(200, lambda n: ledger.move(f"t{n}", names[n % 6], names[(n + 1 + n // 6) % 6], 1 + n % 7))
    same = sum(n % 6 == (n + 1 + n // 6) % 6 for n in range(200))
    assert answers["APPLIED"] == 200
    entries = ledger.journal()
    assert entries[: len(before)] == before
    assert len({one.entry_id for one in entries}) == len(entries) == 12 + 400
    assert same > 0  # some move within one account, which is two entries of one fact
    for name in names:
        own = [one.account_sequence for one in entries if one.account_id == name]
        assert own == list(range(1, len(own) + 1))
    p = t.posting.c
    with reading(ledger.engine) as tx:
        streams = tx.execute(select(func.count(p.by_till.distinct()))).scalar_one()
    assert streams > 4
    assert balanced(ledger)
    assert [one.entry_hash for one in entries] == chained(entries)
