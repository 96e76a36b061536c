"""The tables of journal.db, made and migrated by sqlite-utils; all STRICT.

A migration that a shop has run is never edited: a change is another one below it. So is a new type of event, though it
may change no table: by its name an earlier version sees that this file is not for it.
"""

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from edge.database import earlier_than, later_than
from edge.journal.troubles import JournalNewer

_journal = Migrations("journal")


def make_tables(tables: Database) -> None:
    """Bring a journal of any earlier version to the present one.

    Raises:
        JournalNewer: a later version wrote it.
    """
    if later := later_journal(tables):
        raise JournalNewer(
            f"A later version of this till wrote its journal ({', '.join(later)}). Start that version again: nothing"
            " was changed, nothing is lost. To stay with this one, let the later one send everything, then enrol anew."
        )
    _journal.apply(tables)


def later_journal(tables: Database) -> tuple[str, ...]:
    """By what a later version of ours changed a journal; nothing where this version may write to it."""
    return later_than(_journal, tables)


def earlier_journal(tables: Database) -> tuple[str, ...]:
    """What a journal of an earlier version lacks; nothing where it is as this one has it, or damaged."""
    return earlier_than(_journal, tables)


@_journal()
def first(tables: Database) -> None:
    """Events with what hangs on them, promises, and where the stream stands with the centre."""
    tables.table("event").create(
        {
            "epoch": int, "seq": int, "receipt_id": str, "ask_sha256": str, "kind": str, "of_id": str,
            "written_ms": int, "payload": bytes, "hash": str,
        },
        pk=("epoch", "seq"),
        not_null={"epoch", "seq", "receipt_id", "ask_sha256", "kind", "written_ms", "payload", "hash"},
        strict=True,
    )  # fmt: skip
    tables.table("event").create_index(["receipt_id"], unique=True)
    tables.execute("CREATE INDEX event_of ON event (of_id) WHERE of_id IS NOT NULL")
    # On the sale path this index costs nothing: receipts are not in it.
    tables.execute("CREATE INDEX event_close ON event (epoch, seq) WHERE kind = 'till_close.v1'")
    tables.table("own_use").create(
        {"account_id": int, "epoch": int, "seq": int, "name": str, "amount": int},
        pk=("account_id", "epoch", "seq", "name"),
        not_null={"account_id", "epoch", "seq", "name", "amount"},
        strict=True,
    )
    tables.table("lease").create(
        {
            "lease_id": str, "epoch": int, "grant_no": int, "account_id": int, "points": int, "spent": int,
            "spend_for_s": int, "settle_until_ms": int, "boot": str, "mono_ms": int, "wall_ms": int, "signed": bytes,
        },
        pk="lease_id",
        not_null={"epoch", "grant_no", "points", "spent", "spend_for_s", "settle_until_ms", "signed"},
        strict=True,
    )  # fmt: skip
    tables.table("lease").create_index(["epoch", "grant_no"], unique=True)
    tables.execute("CREATE INDEX lease_left ON lease (epoch, grant_no) WHERE spent < points")
    tables.table("hold").create(
        {
            "hold_id": str, "epoch": int, "account_id": int, "points": int, "lease_id": str, "ask_sha256": str,
            "state": str, "receipt_id": str, "boot": str, "mono_ms": int, "wall_ms": int,
        },
        pk="hold_id",
        not_null={"epoch", "account_id", "points", "lease_id", "ask_sha256", "state"},
        strict=True,
    )  # fmt: skip
    tables.execute("CREATE INDEX hold_open ON hold (epoch) WHERE state = 'open'")
    tables.table("stream").create(
        {
            "epoch": int, "till_id": str, "acked_seq": int, "acked_hash": str, "generation": int, "block_no": int,
            "block_hash": str, "suspended": str,
        },
        pk="epoch",
        not_null={"till_id", "acked_seq", "acked_hash", "generation", "block_no", "block_hash", "suspended"},
        strict=True,
    )  # fmt: skip
    tables.table("flagged").create(
        {"epoch": int, "seq": int, "cause": str},
        pk=("epoch", "seq", "cause"),
        not_null={"epoch", "seq", "cause"},
        strict=True,
    )
    tables.table("counter").create({"name": str, "value": int}, pk="name", not_null={"value"}, strict=True)
    tables.table("counter").insert({"name": "request", "value": 0})


@_journal()
def leases(tables: Database) -> None:
    """Holds and leases of members beside the floats: what is left of each by lot, and whether it was given back.

    `slices` is JSON of `loyalty.lots.Slice`; `state`: active, recalled, returned.
    """
    tables.table("lease").add_column("kind", str, not_null_default="float")
    tables.table("lease").add_column("hold_id", str, not_null_default="")
    tables.table("lease").add_column("slices", str, not_null_default="[]")
    tables.table("lease").add_column("state", str, not_null_default="active")
    tables.execute("CREATE INDEX lease_of_account ON lease (account_id, epoch) WHERE account_id IS NOT NULL")


@_journal()
def sharing(tables: Database) -> None:
    """Rights that move between the tills of a store: who the others are, what was sent, what was received.

    `transfer_out.message` is what is sent again until the receiver has confirmed it.
    """
    tables.table("peer").create(
        {"till_id": str, "epoch": int, "key_no": int, "public": str, "address": str},
        pk="till_id", not_null={"epoch", "key_no", "public", "address"}, strict=True,
    )  # fmt: skip
    tables.table("transfer_out").create(
        {
            "epoch": int, "n": int, "to_till": str, "to_epoch": int, "ask_id": str, "lease_id": str, "account_id": int,
            "slices": str, "confirmed": int,
        },
        pk=("epoch", "n"),
        not_null={"to_till", "to_epoch", "ask_id", "lease_id", "account_id", "slices", "confirmed"},
        strict=True,
    )  # fmt: skip
    tables.execute("CREATE INDEX transfer_open ON transfer_out (to_till) WHERE confirmed = 0")
    tables.table("transfer_in").create(
        {"epoch": int, "donor": str, "donor_epoch": int, "n": int},
        pk=("epoch", "donor", "donor_epoch", "n"), strict=True,
    )  # fmt: skip


@_journal()
def grants_kept(tables: Database) -> None:
    """The signed messages by which this till, and tills that sent it rights, were granted what they have: shown to a
    centre that lost them. And why leases rest: `leases_suspended` is the reason of the last `suspended` event, "" once
    they are spent again."""
    tables.table("grant_kept").create(
        {"epoch": int, "till_id": str, "grant_no": int, "lease_id": str, "signed": bytes, "wall_ms": int},
        pk=("epoch", "till_id", "grant_no"),
        not_null={"lease_id", "signed", "wall_ms"}, strict=True,
    )  # fmt: skip
    tables.execute(
        "INSERT INTO grant_kept SELECT l.epoch, s.till_id, l.grant_no, l.lease_id, l.signed, coalesce(l.wall_ms, 0)"
        " FROM lease l JOIN stream s USING (epoch) WHERE l.grant_no > 0"
    )
    tables.execute("CREATE INDEX grant_kept_of ON grant_kept (lease_id)")
    tables.table("stream").add_column("leases_suspended", str, not_null_default="")


@_journal()
def provisional(tables: Database) -> None:
    """Epochs that the till gave itself, and events that were salvaged but do not follow on what head office can have.

    `stream.granted_epoch` is the one whose key the epoch was signed with; `kept_apart` is why head office took nothing
    more of an epoch that is over; `loose.batch` is sealed, to be sent as it is.
    """
    tables.table("stream").add_column("kept_apart", str, not_null_default="")
    tables.table("stream").add_column("granted_epoch", int, not_null_default=0)
    shape = {"epoch": int, "first_seq": int, "batch": bytes}
    tables.table("loose").create(shape, pk=("epoch", "first_seq"), not_null=set(shape), strict=True)


@_journal()
def cashiers_day(tables: Database) -> None:
    """Baskets laid aside, and the two events of each exchange.

    `parked.body` is JSON without card number and codes; `state`: as `edge.journal.parked_kept.State`; `taken_by` is the
    till that has it now, under its `resume_id`; `kept_by` the till that parked it.
    """
    tables.table("parked").create(
        {
            "park_id": str, "ask_sha256": str, "body": bytes, "parked_ms": int, "state": str, "kept_by": str,
            "taken_by": str, "resume_id": str,
        },
        pk="park_id",
        not_null={"ask_sha256", "body", "parked_ms", "state", "kept_by", "taken_by", "resume_id"},
        strict=True,
    )  # fmt: skip
    tables.table("exchange").create(
        {"exchange_id": str, "ask_sha256": str, "return_id": str, "receipt_id": str, "wall_ms": int},
        pk="exchange_id",
        not_null={"ask_sha256", "return_id", "receipt_id", "wall_ms"},
        strict=True,
    )


@_journal()
def certificates(tables: Database) -> None:
    """What this till's own events did to certificates, until head office has told a row in which they are.

    `amount_minor` is what an event put on (`what` sold) or took off a certificate (`used`, below 0; back: above);
    `what` blocked and back (of a sale) need no amount.
    """
    held = {"code": str, "epoch": int, "seq": int, "what": str, "amount_minor": int}
    tables.table("certificate_move").create(held, pk=("code", "epoch", "seq", "what"), not_null=set(held), strict=True)


@_journal()
def members(tables: Database) -> None:
    """Card numbers that this till may give out and has given out (places, never numbers), who new members are (sealed
    to head office; `taken_ms` is when it had them), cards that were blocked here, receipts that were claimed here."""
    tables.table("number_span").create(
        {"epoch": int, "span_no": int, "kind": str, "prefix": str, "digits": int, "first": int, "last": int,
         "granted_at_ms": int},
        pk=("epoch", "span_no"),
        not_null={"kind", "prefix", "digits", "first", "last", "granted_at_ms"},
        strict=True,
    )  # fmt: skip
    tables.table("number_used").create(
        {"epoch": int, "span_no": int, "place": int}, pk=("epoch", "span_no", "place"), strict=True
    )
    tables.table("sealed").create(
        {"event_id": str, "epoch": int, "exchange_key": str, "body": str, "taken_ms": int},
        pk="event_id", not_null={"epoch", "exchange_key", "body", "taken_ms"}, strict=True,
    )  # fmt: skip
    tables.table("own_card").create(
        {"card_token": str, "event_id": str}, pk="card_token", not_null={"event_id"}, strict=True
    )
    # `settled_ms`: when head office was known to have the block; from the next word of the hotlist on it counts alone.
    tables.table("own_block").create(
        {"card_token": str, "epoch": int, "seq": int, "reason": str, "settled_ms": int},
        pk="card_token", not_null={"epoch", "seq", "reason", "settled_ms"}, strict=True,
    )  # fmt: skip
    tables.table("own_claim").create(
        {"claim_id": str, "of_receipt": str, "card_token": str, "business_date": str},
        pk="claim_id", not_null={"of_receipt", "card_token", "business_date"}, strict=True,
    )  # fmt: skip
    tables.table("own_claim").create_index(["of_receipt"])
    tables.table("own_claim").create_index(["card_token", "business_date"])
    tables.table("own_consent").create(
        {"event_id": str, "card_token": str}, pk="event_id", not_null={"card_token"}, strict=True
    )
    tables.table("own_consent").create_index(["card_token"])
    tables.table("told").create({"name": str, "value": str}, pk="name", not_null={"value"}, strict=True)


@_journal()
def card_keys(tables: Database) -> None:
    """Cards that were named under several keys of the programme, and the key that scatters a span of numbers."""
    tables.table("own_name").create(
        {"card_token": str, "key_ids": str}, pk="card_token", not_null={"key_ids"}, strict=True
    )
    tables.execute("ALTER TABLE number_span ADD COLUMN card_key_id TEXT NOT NULL DEFAULT '1'")


@_journal()
def leaner_sales(tables: Database) -> None:
    """A sale writes two pages less before it is waited for: own uses stand in the order of their key and nowhere else,
    and floats are found by an index in which spending changes nothing."""
    tables.execute(
        "CREATE TABLE own_use_by_key (account_id INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " name TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (account_id, epoch, seq, name))"
        " WITHOUT ROWID, STRICT"
    )
    tables.execute("INSERT INTO own_use_by_key SELECT account_id, epoch, seq, name, amount FROM own_use")
    tables.execute("DROP TABLE own_use")
    tables.execute("ALTER TABLE own_use_by_key RENAME TO own_use")
    tables.execute("DROP INDEX lease_left")
    tables.execute("CREATE INDEX lease_float ON lease (epoch, grant_no) WHERE account_id IS NULL")


@_journal()
def told_accounts(tables: Database) -> None:
    """What cards led to the accounts that events name, until a head office that was put back has heard of it."""
    tables.execute(
        "CREATE TABLE told_account (account_id INTEGER NOT NULL, card_token TEXT NOT NULL,"
        " PRIMARY KEY (account_id, card_token)) STRICT"
    )


@_journal()
def fewer_pages(tables: Database) -> None:
    """A sale writes two to three pages less: events are found by their place, and what a redemption changes lies on one
    page.

    `event.place`: as `edge.journal.places`. `promised`: `what` float: points spent of it; `what` hold: an open one with
    its points, and the receipt that it went into until the next hold is opened, when the hold's own row says so.
    """
    tables.execute(
        "CREATE TABLE event_by_place (place INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " receipt_id TEXT NOT NULL, ask_sha256 TEXT NOT NULL, kind TEXT NOT NULL, of_id TEXT,"
        " written_ms INTEGER NOT NULL, payload BLOB NOT NULL, hash TEXT NOT NULL) STRICT"
    )
    tables.execute(
        "INSERT INTO event_by_place SELECT epoch << 31 | seq, epoch, seq, receipt_id, ask_sha256, kind, of_id,"
        " written_ms, payload, hash FROM event ORDER BY epoch, seq"
    )
    tables.execute("DROP TABLE event")
    tables.execute("ALTER TABLE event_by_place RENAME TO event")
    tables.execute("CREATE UNIQUE INDEX event_receipt ON event (receipt_id)")
    tables.execute("CREATE INDEX event_of ON event (of_id) WHERE of_id IS NOT NULL")
    tables.execute("CREATE INDEX event_close ON event (kind) WHERE kind = 'till_close.v1'")
    tables.execute(
        "CREATE TABLE promised (what TEXT NOT NULL, id TEXT NOT NULL, points INTEGER NOT NULL, receipt_id TEXT,"
        " PRIMARY KEY (what, id)) WITHOUT ROWID, STRICT"
    )
    tables.execute(
        "INSERT INTO promised SELECT 'float', lease_id, spent, NULL FROM lease WHERE account_id IS NULL AND spent > 0"
    )
    tables.execute("UPDATE lease SET spent = 0 WHERE account_id IS NULL AND spent > 0")
    tables.execute("INSERT INTO promised SELECT 'hold', hold_id, points, NULL FROM hold WHERE state = 'open'")
    tables.execute("DROP INDEX hold_open")


@_journal()
def unheard(tables: Database) -> None:
    """Since when head office says that it lacks the event of who a new member is, while nothing is left to send that
    could be it. Beside `sealed`, whose rows keep the form in which they are found in a damaged file."""
    tables.execute("CREATE TABLE unheard (event_id TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) STRICT")


@_journal()
def uses_follow(tables: Database) -> None:
    """A sale writes another page less: what an event adds to counters is read from it until it is written with those of
    a hundred others. `stream.uses_seq`: the last event of which all stands in `own_use`."""
    tables.execute("ALTER TABLE stream ADD COLUMN uses_seq INTEGER NOT NULL DEFAULT 0")
    tables.execute(
        "UPDATE stream SET uses_seq = coalesce((SELECT max(e.seq) FROM event e WHERE e.epoch = stream.epoch), 0)"
    )


@_journal()
def peer_label(tables: Database) -> None:
    """What another till of the store is called, for people."""
    tables.execute("ALTER TABLE peer ADD COLUMN label TEXT NOT NULL DEFAULT ''")


@_journal()
def loose_stays(tables: Database) -> None:
    """What hangs in the air stays as long as what is acknowledged, for a head office that was put back: `loose.sent_ms`
    is when it had the batch, 0 before."""
    tables.execute("ALTER TABLE loose ADD COLUMN sent_ms INTEGER NOT NULL DEFAULT 0")
