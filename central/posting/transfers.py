"""Transfers between accounts asked for by name: each key is answered once and for all.

One transaction: the key is claimed, the accounts are locked in the order of their numbers, the kernel decides on
balances that stand still, and what it lets through is written at the end of a stream and posted. The key says of which
of several streams, so that transfers of different accounts do not wait for each other. A refusal is kept as well: the
same key gets the same answer however the balances have changed since. Source: ledger.md rules 1, 2 and 4.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from sqlalchemy import Column, Connection, MetaData, Table, Text, update

from central.database.rows import find, hold, put
from central.database.tables import account, card, lot
from central.members.accounts import accounts_of_cards
from central.ports import Randomness
from central.posting.own_posting import post_own
from central.posting.recorded import key_columns
from loyalty.facts.transfers import Leg, Transferred, TransferRefused, by_account, check_transfer
from loyalty.ledger.transfer_postings import transfer_key
from loyalty.moments import utc_date

STREAMS = tuple(f"transfers:{n}" for n in range(8))
KEY_REUSED = "transfer.key_reused"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*\Z")]
Status = Literal["APPLIED", "DUPLICATE", "REJECTED"]

# Beside the schema, not in it: only a test build has these tables.
metadata = MetaData()
asked = Table(
    "transfer_asked", metadata,
    Column("key", Text, primary_key=True),
    Column("transfer_id", Text, nullable=False),
    Column("sha256", Text, nullable=False),  # of what was asked
    Column("refused", Text, nullable=False),  # the rule that said no; "" for a transfer that was posted
    sqlite_strict=True,
)  # fmt: skip


class LegAsk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One leg as it is asked for; the account is any name."""

    account_id: Name
    type: Literal["DEBIT", "CREDIT"]
    amount_subunits: int
    currency: Name


class TransferAsk(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A transfer as it is asked for."""

    idempotency_key: Name
    transaction_id: Name
    legs: tuple[LegAsk, ...]
    allow_overdraft: bool = False


class TransferAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of it; `reason` is the stable code of the rule that said no."""

    status: Status
    transaction_id: str
    reason: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The detail of a transfer's fact: names that the books do without."""

    account: str
    transaction_id: str


def transfer(tx: Connection, ask: TransferAsk, now_ms: int, randomness: Randomness) -> TransferAnswer:
    """Post a transfer, or say that it was posted before, or that it may not be."""
    row = {"key": ask.idempotency_key, "transfer_id": ask.transaction_id, "sha256": _digest(ask), "refused": ""}
    # Whoever asks at the same moment waits here, and then reads what became of it.
    if not put(tx, asked, [row], "nothing", ["key"]):
        return _as_before(tx, ask)
    numbers = _numbers(tx, ask, now_ms, randomness)
    legs = [_leg(one, numbers) for one in ask.legs]
    try:
        check_transfer(legs, _held(tx, legs), may_overdraw=ask.allow_overdraft)
    except TransferRefused as refused:
        tx.execute(update(asked).where(asked.c.key == ask.idempotency_key).values(refused=refused.code))
        return TransferAnswer(status="REJECTED", transaction_id=ask.transaction_id, reason=refused.code)
    # Accounts are locked before the stream, by every transfer: whoever holds a stream waits for nobody.
    post_own(tx, stream_of(ask.idempotency_key), _facts(ask, numbers, legs, now_ms), now_ms, randomness)
    return TransferAnswer(status="APPLIED", transaction_id=ask.transaction_id)


def stream_of(key: str) -> str:
    """The stream that a transfer of this key is written to."""
    return STREAMS[hashlib.sha256(key.encode()).digest()[0] % len(STREAMS)]


def token_of(name: str) -> str:
    """The card token that stands for an account's name: whoever is named first gets an account, as a new card does."""
    return hashlib.sha256(b"TP-ACCOUNT1\0" + name.encode()).hexdigest()[:32]


def balance_of(connection: Connection, name: str, currency: str) -> int:
    """What an account has of a currency, 0 where nobody has named it yet."""
    found = find(connection, card, [{"card_token": token_of(name)}], ["account_id"])
    keys = [{"account_id": row.account_id, **key_columns(transfer_key(currency))} for row in found]
    return sum(row.points for row in find(connection, lot, keys, ["points"]))


def _as_before(tx: Connection, ask: TransferAsk) -> TransferAnswer:
    (before,) = find(tx, asked, [{"key": ask.idempotency_key}])
    if before.sha256 != _digest(ask):
        return TransferAnswer(status="REJECTED", transaction_id=ask.transaction_id, reason=KEY_REUSED)
    if before.refused:
        return TransferAnswer(status="REJECTED", transaction_id=before.transfer_id, reason=before.refused)
    return TransferAnswer(status="DUPLICATE", transaction_id=before.transfer_id)


def _numbers(tx: Connection, ask: TransferAsk, now_ms: int, randomness: Randomness) -> dict[str, int]:
    """The accounts of the names, locked in the order of their numbers."""
    names = {token_of(leg.account_id): leg.account_id for leg in ask.legs}
    found = accounts_of_cards(tx, names, now_ms, randomness)
    rows = [{"account_id": number, "status": "unregistered", "created_at_ms": now_ms} for number in found.values()]
    hold(tx, account, rows, ("account_id",))
    return {names[token]: number for token, number in found.items()}


def _leg(one: LegAsk, numbers: Mapping[str, int]) -> Leg:
    return Leg(
        account_id=numbers[one.account_id],
        issuer_id=one.currency,
        side="debit" if one.type == "DEBIT" else "credit",
        amount=one.amount_subunits,
    )


def _held(tx: Connection, legs: Sequence[Leg]) -> dict[tuple[int, str], int]:
    named = {(leg.account_id, leg.issuer_id) for leg in legs}
    keys = [{"account_id": number, **key_columns(transfer_key(issuer))} for number, issuer in named]
    return {(row.account_id, row.issuer_id): row.points for row in find(tx, lot, keys)}


def _facts(ask: TransferAsk, numbers: Mapping[str, int], legs: Sequence[Leg], now_ms: int) -> list[Transferred]:
    names = {number: name for name, number in numbers.items()}
    return [
        Transferred(
            receipt_id=f"transfer:{n}:{ask.idempotency_key}",
            transfer_id=ask.idempotency_key,
            account_id=number,
            on=utc_date(now_ms),
            parts=parts,
            detail=msgspec.Raw(
                msgspec.json.encode(Told(account=names[number], transaction_id=ask.transaction_id))
            ),
        )
        for n, (number, parts) in enumerate(by_account(legs).items(), 1)
    ]


def _digest(ask: TransferAsk) -> str:
    return hashlib.sha256(msgspec.json.encode(ask)).hexdigest()
