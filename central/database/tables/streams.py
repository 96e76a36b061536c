"""What tills sent and head office wrote: streams, batches, events, blocks, and what was kept apart."""

from sqlalchemy import Index

from central.database.tables.columns import octets, of_stream, table, text, whole

# `state` is active, suspended, revoked, or left once a later epoch began; the centre's own streams are `centre`.
stream = table(
    "stream", "T",
    text("till_id", key=True),
    whole("epoch", key=True),
    whole("seq", default=0),
    text("hash"),
    text("genesis"),
    text("state"),
    text("reason", default=""),
    whole("period_no"),
    whole("counter", default=0),
    whole("announced_seq", default=0),
    whole("float_granted", default=0),  # points of all floats ever granted in this epoch
    whole("float_spent", default=0),  # points that receipts spent on them, as far as the centre has seen
    whole("opened_at_ms"),
    whole("heard_at_ms", default=0),  # last contact
    whole("backlog", default=0),  # events the till said it had left
    whole("level_at_ms", default=0),  # when it last said in a new message that it had none left, and they were here
    text("about", default="{}"),  # heartbeat as JSON: version, boot, clock error, cursors
    whole("holds_counter", default=0),  # the till's newest ask for a certificate whose hold is forgotten
    text("leases_suspended", default=""),  # why the till spends nothing of its leases and floats; "" while it does
)  # fmt: skip

# Exactly as received: header, signature and body are the evidence. The first `posted_from` - `first_seq` events had
# come before, in an earlier batch. Once its goods were let go (`redacted_ms`) the body holds what is left of each
# event, and `digests` the `d_n` of each, 32 bytes, over which the chain goes on.
batch = table(
    "batch", "T",
    text("till_id", key=True),
    whole("epoch", key=True),
    whole("last_seq", key=True),
    whole("first_seq"), whole("posted_from"),
    whole("received_at_ms"), whole("redacted_ms", default=0),
    octets("header"), octets("signature"), octets("digests", default=b""), octets("body"),
    of_stream(),
)  # fmt: skip
Index("batch_whole", batch.c.received_at_ms, sqlite_where=batch.c.redacted_ms == 0,
      postgresql_where=batch.c.redacted_ms == 0)  # fmt: skip

# One row an event; its bytes stay in the batch `batch_seq` (the batch's last_seq). `state` is posted, waiting or
# quarantined (`reason` says why). `checked` is "" until recomputed, then same, differs, skipped (an engine we cannot
# run, a programme we do not have), or nothing where there is nothing to recompute.
event = table(
    "event", "T",
    text("till_id", key=True),
    whole("epoch", key=True),
    whole("seq", key=True),
    text("kind"),
    text("state"),
    text("reason", default=""),
    text("receipt_id", default=""),
    whole("account_id", default=0),  # 0: nobody
    whole("account_version", default=0),
    text("partner_id", default=""), text("store_id", default=""),
    text("business_date", default=""),
    whole("sold_at_ms", default=0),
    whole("net_minor", default=0),  # paid in money; of a return: paid out
    whole("points_earned", default=0), whole("points_spent", default=0),
    whole("points_reversed", default=0),  # spent points given back by a return are negative points_spent
    text("of_till", default=""), whole("of_epoch", default=0), whole("of_seq", default=0),
    whole("period_no"),
    whole("batch_seq"),
    text("checked", default=""),
    of_stream(),
)  # fmt: skip
Index("event_unchecked", event.c.till_id, event.c.epoch, event.c.seq, sqlite_where=event.c.checked == "",
      postgresql_where=event.c.checked == "")  # fmt: skip
Index("event_quarantined", event.c.till_id, event.c.epoch, event.c.seq, sqlite_where=event.c.state == "quarantined",
      postgresql_where=event.c.state == "quarantined")  # fmt: skip
Index("event_of_account", event.c.account_id, event.c.account_version)
Index("event_of_day", event.c.business_date, event.c.store_id)
Index("event_by_receipt", event.c.receipt_id)

# `(till_id, receipt_id)` belongs to one event over all epochs.
claim = table(
    "claim", "T",
    text("till_id", key=True),
    text("receipt_id", key=True),
    whole("epoch"), whole("seq"),
)  # fmt: skip

# Events that name one which has not arrived: its place, and its id where they say it.
waiting = table(
    "waiting", "local",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("of_till"), whole("of_epoch"), whole("of_seq"),
    whole("since_ms"),
    text("of_receipt", default=""),
)  # fmt: skip
Index("waiting_of", waiting.c.of_till, waiting.c.of_epoch, waiting.c.of_seq)

# Requests that prove something is wrong with a till: batches of stopped streams, forks, rewinds. `evidence` is empty
# once it was decided about and let go.
quarantine = table(
    "quarantine", "T",
    text("till_id", key=True),
    text("sha256", key=True),
    whole("epoch"),
    text("code"),
    octets("evidence"),
    whole("received_at_ms"),
)  # fmt: skip

# What a person, or a newer version, made of what is in quarantine, which stays there: of an event in its till's stream
# (`sha256` ""), of one in an upload kept aside, or of a whole upload (`seq` 0). `outcome`: replayed, fixed or
# written_off.
quarantine_outcome = table(
    "quarantine_outcome", "T",
    text("till_id", key=True),
    text("sha256", key=True),
    whole("epoch", key=True),
    whole("seq", key=True),
    text("outcome"),
    text("note", default=""),
    text("decided_by"),
    whole("decided_at_ms"),
    text("fact_id", default=""),  # of the fact that was posted instead
)  # fmt: skip

# The centre's own events (grant.v1, period.v1) in streams of its own, chained like the tills'. `redacted_ms` and
# `digest` as of a batch.
centre_event = table(
    "centre_event", "T",
    text("till_id", key=True),  # central.streams.own_events.centre_stream_id(name)
    whole("epoch", key=True),
    whole("seq", key=True),
    text("hash"),
    whole("at_ms"),
    whole("redacted_ms", default=0),
    octets("digest", default=b""),
    octets("payload"),
    of_stream(),
)  # fmt: skip

# sync.wire.Grant
till_grant = table(
    "till_grant", "T",
    text("till_id", key=True),
    whole("epoch", key=True),
    whole("grant_no", key=True),
    text("lease_id"),
    whole("account_id", none=True),
    whole("points"),
    whole("spend_for_s"), whole("settle_until_ms"), whole("granted_at_ms"),
    text("kind", default="float"), text("hold_id", default=""),
    text("slices", default="[]"),  # JSON of Slices
    # Of one that a restore lost and tills showed: what is not set aside again of it (JSON of Slices), who showed it.
    text("unrestored", default="[]"), text("shown_by", default="[]"),
    of_stream(),
)  # fmt: skip

# Commit order made a chain: each block lists how far every stream that moved had come, and names the block before it.
block = table(
    "block", "local",
    whole("block_no", key=True),
    text("prev_hash"), text("hash"),
    octets("body"),  # JSON as it was hashed and signed
    octets("signature"),
    whole("key_no"),
    whole("sealed_at_ms"),
)  # fmt: skip

# How far the last block that names a stream had come.
sealed = table(
    "sealed", "T",
    text("till_id", key=True), whole("epoch", key=True),
    whole("seq"), text("hash"), whole("block_no"),
    of_stream(),
)  # fmt: skip
