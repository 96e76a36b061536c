"""The schema of the centre, once, for SQLite, PostgreSQL and Citus; each table says where its rows live.

`info["place"]` names the placement group: A by account_id, T by till_id, K by card_token, D by statement_id, `ref` for
small tables that every node holds, `local` for queues and the console. Instants are milliseconds since 1970 UTC, dates
ISO text, points and money whole numbers, JSON payload only. Source: scale.md S1-S13; house.md section 3.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy import (
    event as events,
)

PLACE_KEYS = {"A": "account_id", "T": "till_id", "K": "card_token", "D": "statement_id"}
APPEND_ONLY = ("posting", "batch", "centre_event", "block", "statement", "statement_line", "quarantine_outcome",
               "certificate_move", "cash_entry", "price_delta", "consent")  # fmt: skip
# Of these, once, when the goods in them are let go; the service of PostgreSQL has the right to these columns.
REDACTABLE = {"batch": ("redacted_ms", "digests", "body"), "centre_event": ("redacted_ms", "digest", "payload")}

metadata = MetaData()
Whole = BigInteger().with_variant(Integer, "sqlite")  # STRICT tables of SQLite know no BIGINT


def _whole(name: str, *rest: Any, default: int | None = None, none: bool = False, key: bool = False) -> Column[int]:
    return Column(name, Whole, *rest, primary_key=key, autoincrement=False, nullable=none, default=default)


def _text(name: str, *rest: Any, default: str | None = None, none: bool = False, key: bool = False) -> Column[str]:
    return Column(name, Text, *rest, primary_key=key, nullable=none, default=default)


def _bytes(name: str, default: bytes | None = None) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False, default=default)


def _table(name: str, place: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, info={"place": place}, sqlite_strict=True)


def _of_stream() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["till_id", "epoch"], ["stream.till_id", "stream.epoch"])


# Partners, stores, terms, tills

setting = _table("setting", "ref", _text("name", key=True), _text("value"))

# Beyond `limit_minor` of exposure an issuer is called to cover its points; none where nobody set a limit. Of its points
# `expected_redemption_bp` are expected to be redeemed; `shares_defaults` is its weight in sharing others' defaults.
partner = _table(
    "partner", "ref", _text("partner_id", key=True), _text("name"), _whole("limit_minor", none=True),
    _whole("expected_redemption_bp", default=10_000), _whole("shares_defaults", default=0),
)  # fmt: skip

store = _table("store", "ref", _text("store_id", key=True), _text("name"))

# A store belongs to a partner from a date on.
store_partner = _table(
    "store_partner", "ref",
    _text("store_id", ForeignKey("store.store_id"), key=True),
    _text("from_on", key=True),
    _text("partner_id", ForeignKey("partner.partner_id")),
)  # fmt: skip

# loyalty.terms.Terms
terms = _table(
    "terms", "ref",
    _text("terms_id", key=True),
    _text("partner_id", ForeignKey("partner.partner_id")),
    _text("from_on"),
    _whole("fee_micro"), _whole("funding_micro"), _whole("advance_micro"), _whole("reimburse_micro"),
    _whole("expiry_back_micro"),
    Column("refunds_fee", Boolean().with_variant(Integer, "sqlite"), nullable=False, default=False),
    _whole("uncovered_micro", default=0),
)  # fmt: skip

# A lane in a shop, whichever machine stands there; `epoch` is the present one, 0 before the first enrolment.
till = _table(
    "till", "ref",
    _text("till_id", key=True),
    _text("store_id", ForeignKey("store.store_id")),
    _text("label"),
    _whole("epoch", default=0),
    _text("install_id", default=""),
    _whole("new_key_wanted", default=0),  # 1 until the till has made itself a new key
)  # fmt: skip

till_key = _table(
    "till_key", "ref",
    _text("till_id", ForeignKey("till.till_id"), key=True),
    _whole("key_no", key=True),
    _text("public"),
    _whole("epoch"),
    _whole("from_ms"),
    _text("state", default="active"),  # active, replaced (good for events up to `until_seq`), revoked
    _whole("until_seq", default=0),
)  # fmt: skip

# sync.rotation.Notice: each new key of the centre, signed by it and by the one before.
centre_key = _table("centre_key", "ref", _whole("key_no", key=True), _text("public"), _bytes("notice"))

# The programme's card keys after the first, and the first once another follows it; each is a file beside the first's.
# `retired_ms` is 0 while a key is in force.
card_key = _table(
    "card_key", "ref", _whole("no", key=True), _text("key_id"), _whole("made_ms"), _whole("retired_ms", default=0),
    UniqueConstraint("key_id"),
)  # fmt: skip

# The same of the keys of personal data.
people_key = _table(
    "people_key", "ref", _whole("no", key=True), _text("key_id"), _whole("made_ms"), _whole("retired_ms", default=0),
    UniqueConstraint("key_id"),
)  # fmt: skip

# sync.enrolment.Slot; the code itself and the card keys are not here.
slot = _table(
    "slot", "local",
    _text("code_hash", key=True),
    _text("till_id", ForeignKey("till.till_id")),
    _whole("epoch"), _whole("key_no"),
    _text("genesis"),
    _whole("expires_ms"),
    _text("used_by_key", default=""), _text("used_by_install", default=""),
)  # fmt: skip

# Streams and what came in them

# `state` is active, suspended, revoked, or left once a later epoch began; the centre's own streams are `centre`.
stream = _table(
    "stream", "T",
    _text("till_id", key=True),
    _whole("epoch", key=True),
    _whole("seq", default=0),
    _text("hash"),
    _text("genesis"),
    _text("state"),
    _text("reason", default=""),
    _whole("period_no"),
    _whole("counter", default=0),
    _whole("announced_seq", default=0),
    _whole("float_granted", default=0),  # points of all floats ever granted in this epoch
    _whole("float_spent", default=0),  # points that receipts spent on them, as far as the centre has seen
    _whole("opened_at_ms"),
    _whole("heard_at_ms", default=0),  # last contact
    _whole("backlog", default=0),  # events the till said it had left
    _text("about", default="{}"),  # heartbeat as JSON: version, boot, clock error, cursors
    _whole("holds_counter", default=0),  # the till's newest ask for a certificate whose hold is forgotten
    _text("leases_suspended", default=""),  # why the till spends nothing of its leases and floats; "" while it does
)  # fmt: skip

# Exactly as received: header, signature and body are the evidence. The first `posted_from` - `first_seq` events had
# come before, in an earlier batch. Once its goods were let go (`redacted_ms`) the body holds what is left of each
# event, and `digests` the `d_n` of each, 32 bytes, over which the chain goes on.
batch = _table(
    "batch", "T",
    _text("till_id", key=True),
    _whole("epoch", key=True),
    _whole("last_seq", key=True),
    _whole("first_seq"), _whole("posted_from"),
    _whole("received_at_ms"), _whole("redacted_ms", default=0),
    _bytes("header"), _bytes("signature"), _bytes("digests", default=b""), _bytes("body"),
    _of_stream(),
)  # fmt: skip
Index("batch_whole", batch.c.received_at_ms, sqlite_where=batch.c.redacted_ms == 0,
      postgresql_where=batch.c.redacted_ms == 0)  # fmt: skip

# One row an event; its bytes stay in the batch `batch_seq` (the batch's last_seq). `state` is posted, waiting or
# quarantined (`reason` says why). `checked` is "" until recomputed, then same, differs, skipped (an engine we cannot
# run, a programme we do not have), or nothing where there is nothing to recompute.
event = _table(
    "event", "T",
    _text("till_id", key=True),
    _whole("epoch", key=True),
    _whole("seq", key=True),
    _text("kind"),
    _text("state"),
    _text("reason", default=""),
    _text("receipt_id", default=""),
    _whole("account_id", default=0),  # 0: nobody
    _whole("account_version", default=0),
    _text("partner_id", default=""), _text("store_id", default=""),
    _text("business_date", default=""),
    _whole("sold_at_ms", default=0),
    _whole("net_minor", default=0),  # paid in money; of a return: paid out
    _whole("points_earned", default=0), _whole("points_spent", default=0),
    _whole("points_reversed", default=0),  # spent points given back by a return are negative points_spent
    _text("of_till", default=""), _whole("of_epoch", default=0), _whole("of_seq", default=0),
    _whole("period_no"),
    _whole("batch_seq"),
    _text("checked", default=""),
    _of_stream(),
)  # fmt: skip
Index("event_unchecked", event.c.till_id, event.c.epoch, event.c.seq, sqlite_where=event.c.checked == "",
      postgresql_where=event.c.checked == "")  # fmt: skip
Index("event_quarantined", event.c.till_id, event.c.epoch, event.c.seq, sqlite_where=event.c.state == "quarantined",
      postgresql_where=event.c.state == "quarantined")  # fmt: skip
Index("event_of_account", event.c.account_id, event.c.account_version)
Index("event_of_day", event.c.business_date, event.c.store_id)
Index("event_by_receipt", event.c.receipt_id)

# `(till_id, receipt_id)` belongs to one event over all epochs.
claim = _table(
    "claim", "T",
    _text("till_id", key=True),
    _text("receipt_id", key=True),
    _whole("epoch"), _whole("seq"),
)  # fmt: skip

# Events that name one which has not arrived: its place, and its id where they say it.
waiting = _table(
    "waiting", "local",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("of_till"), _whole("of_epoch"), _whole("of_seq"),
    _whole("since_ms"),
    _text("of_receipt", default=""),
)  # fmt: skip
Index("waiting_of", waiting.c.of_till, waiting.c.of_epoch, waiting.c.of_seq)

# Requests that prove something is wrong with a till: batches of stopped streams, forks, rewinds. `evidence` is empty
# once it was decided about and let go.
quarantine = _table(
    "quarantine", "T",
    _text("till_id", key=True),
    _text("sha256", key=True),
    _whole("epoch"),
    _text("code"),
    _bytes("evidence"),
    _whole("received_at_ms"),
)  # fmt: skip

# What a person, or a newer version, made of what is in quarantine, which stays there: of an event in its till's stream
# (`sha256` ""), of one in an upload kept aside, or of a whole upload (`seq` 0). `outcome`: replayed, fixed or
# written_off.
quarantine_outcome = _table(
    "quarantine_outcome", "T",
    _text("till_id", key=True),
    _text("sha256", key=True),
    _whole("epoch", key=True),
    _whole("seq", key=True),
    _text("outcome"),
    _text("note", default=""),
    _text("decided_by"),
    _whole("decided_at_ms"),
    _text("fact_id", default=""),  # of the fact that was posted instead
)  # fmt: skip

# The centre's own events (grant.v1, period.v1) in streams of its own, chained like the tills'. `redacted_ms` and
# `digest` as of a batch.
centre_event = _table(
    "centre_event", "T",
    _text("till_id", key=True),  # central.granting.centre_stream_id(name)
    _whole("epoch", key=True),
    _whole("seq", key=True),
    _text("hash"),
    _whole("at_ms"),
    _whole("redacted_ms", default=0),
    _bytes("digest", default=b""),
    _bytes("payload"),
    _of_stream(),
)  # fmt: skip

# sync.wire.Grant
till_grant = _table(
    "till_grant", "T",
    _text("till_id", key=True),
    _whole("epoch", key=True),
    _whole("grant_no", key=True),
    _text("lease_id"),
    _whole("account_id", none=True),
    _whole("points"),
    _whole("spend_for_s"), _whole("settle_until_ms"), _whole("granted_at_ms"),
    _text("kind", default="float"), _text("hold_id", default=""),
    _text("slices", default="[]"),  # JSON of Slices
    # Of one that a restore lost and tills showed: what is not set aside again of it (JSON of Slices), who showed it.
    _text("unrestored", default="[]"), _text("shown_by", default="[]"),
    _of_stream(),
)  # fmt: skip

# Commit order made a chain: each block lists how far every stream that moved had come, and names the block before it.
block = _table(
    "block", "local",
    _whole("block_no", key=True),
    _text("prev_hash"), _text("hash"),
    _bytes("body"),  # JSON as it was hashed and signed
    _bytes("signature"),
    _whole("key_no"),
    _whole("sealed_at_ms"),
)  # fmt: skip

# How far the last block that names a stream had come.
sealed = _table(
    "sealed", "T",
    _text("till_id", key=True), _whole("epoch", key=True),
    _whole("seq"), _text("hash"), _whole("block_no"),
    _of_stream(),
)  # fmt: skip

# Accounts

# `version` counts the events folded in. `status`: registered, unregistered (a card nobody has claimed), closed.
# What happens to an account that was `merged_into` another one happens to that one.
account = _table(
    "account", "A",
    _whole("account_id", key=True),
    _whole("version", default=0),
    _text("status", default="registered"),
    _whole("created_at_ms", default=0),
    _whole("merged_into", default=0),
    _whole("version_before", default=0),  # what it was when it was last locked, which tells whoever locks it
)  # fmt: skip
Index("account_merged", account.c.merged_into, sqlite_where=account.c.merged_into > 0,
      postgresql_where=account.c.merged_into > 0)  # fmt: skip

member = _table(
    "member", "A",
    _whole("account_id", ForeignKey("account.account_id"), key=True),
    _text("tier", default=""),
    _text("segments", default="[]"),  # JSON list of names
    _text("language", default=""),
    _text("home_store_id", default=""),
    _text("birthday_mmdd", default=""),
)  # fmt: skip
Index("member_of_store", member.c.home_store_id, member.c.account_id)

# The number itself is nowhere. `state`: active, blocked.
card = _table(
    "card", "K",
    _text("card_token", key=True),
    _whole("account_id"),
    _text("kind", default=""),  # loyalty.cards.CardKind, "" where only the token is known
    _text("state", default="active"),
    _whole("since_ms"),
    _text("last4", default=""),
    _text("replaced_by", default=""),  # the token of the card that took its place
    _text("key_id", default="1"),  # under which the token is this card's name
    _text("same_as", default=""),  # one of the names of the card, the same for all of them; "" while it has but this
)  # fmt: skip
Index("card_of_account", card.c.account_id)
Index("card_same_as", card.c.same_as, sqlite_where=card.c.same_as > "", postgresql_where=card.c.same_as > "")

# Who joined where: loyalty.member_events.Enrolled. `sealed_sha256` is of the personal data that came beside it.
enrolment = _table(
    "enrolment", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("event_id"),
    _whole("account_id"), _text("card_token"),
    _text("language", default=""), _text("asked_on"), _text("store_id"), _whole("at_ms"),
    _text("sealed_sha256", default=""),
)  # fmt: skip
Index("enrolment_of_account", enrolment.c.account_id)
Index("enrolment_by_id", enrolment.c.till_id, enrolment.c.event_id)

# Each consent given, confirmed or withdrawn, with its evidence: loyalty.member_events.ConsentSaid. What holds now is a
# fold over them. A confirmation is known by its `code` alone, so its account is 0.
consent = _table(
    "consent", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True), _whole("n", key=True),
    _whole("account_id"),
    _text("what"),  # given, confirmed, withdrawn
    _text("purpose", default=""), _text("channel", default=""), _text("version", default=""),
    _text("language", default=""), _text("asked_on"), _text("code", default=""),
    _text("store_id", default=""), _whole("at_ms"),
)  # fmt: skip
Index("consent_of_account", consent.c.account_id)
Index("consent_by_code", consent.c.code)

# Who a member is, under a key of their own that is itself sealed under `key_id`: without the row nothing of it can be
# read. `found_by` are keyed hashes of telephone and e-mail.
person = _table(
    "person", "A",
    _whole("account_id", ForeignKey("account.account_id"), key=True),
    _bytes("key"), _bytes("data"),
    _whole("changed_at_ms"), _text("key_id", default="1"),
)  # fmt: skip
Index("person_under_key", person.c.key_id)
found_by = _table("found_by", "local", _text("mark", key=True), _whole("account_id", key=True))
Index("found_by_account", found_by.c.account_id)

# loyalty.member_events.Claimed, and what head office made of it. `state`: asked, granted, refused (`reason` says why).
# `due` 1: goods of its receipt came back since. `granted` is JSON of Earned, what stands of it.
receipt_claim = _table(
    "receipt_claim", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("event_id"),
    _whole("account_id"), _text("card_token"), _text("last4", default=""),
    _text("store_id"), _text("business_date"),
    _text("of_till", default=""), _whole("of_epoch", default=0), _whole("of_seq", default=0),
    _text("mark", default=""),  # of what is printed on the receipt: the same paper typed again has the same
    _text("state", default="asked"), _text("reason", default=""),
    _whole("points", default=0), _text("granted", default="[]"), _whole("facts", default=0),
    _whole("due", default=0),
    _whole("asked_at_ms"), _whole("decided_at_ms", default=0), _whole("looked_at_ms", default=0),
)  # fmt: skip
Index("receipt_claim_open", receipt_claim.c.state, receipt_claim.c.due, receipt_claim.c.looked_at_ms)
Index("receipt_claim_of", receipt_claim.c.of_till, receipt_claim.c.of_epoch, receipt_claim.c.of_seq)
Index("receipt_claim_mark", receipt_claim.c.mark)
Index("receipt_claim_of_account", receipt_claim.c.account_id, receipt_claim.c.business_date)
Index("receipt_claim_by_id", receipt_claim.c.till_id, receipt_claim.c.event_id)

# loyalty.card_numbers.NumberSpan: places of a card range that a till may give out; never granted again.
number_span = _table(
    "number_span", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("span_no", key=True),
    _text("kind"), _text("prefix"), _whole("digits"), _whole("first"), _whole("last"), _whole("granted_at_ms"),
    _text("card_key_id", default="1"),
    _of_stream(),
)  # fmt: skip

# The next place of a card range that nobody was granted, and the card key that scatters the range for good.
number_next = _table(
    "number_next", "local",
    _text("kind", key=True), _text("prefix", key=True), _whole("place"), _text("card_key_id", default="1"),
)  # fmt: skip

lot = _table(
    "lot", "A",
    _whole("account_id", ForeignKey("account.account_id"), key=True),
    _text("valid_through", key=True),
    _text("issuer_id", key=True),
    _text("terms_id", key=True),
    _whole("points"),
    _text("earned_on", default=""),  # business date of the first accrual since it was last empty
    _whole("expired", default=0),  # points that lapsed and that no late spend has taken since
    _text("redated_to", default=""),  # the last valid day that its points were given since; "" where they kept theirs
)  # fmt: skip
Index("lot_to_lapse", lot.c.valid_through, lot.c.account_id, sqlite_where=lot.c.points > 0,
      postgresql_where=lot.c.points > 0)  # fmt: skip

# Authority to spend an account's points: a hold for one sale, or a lease. `state`: active, ended, reclaimed.
lease = _table(
    "lease", "A",
    _whole("account_id", ForeignKey("account.account_id"), key=True),
    _text("lease_id", key=True),
    _text("till_id"), _whole("epoch"), _whole("grant_no"),
    _text("kind"),  # hold, lease
    _text("hold_id", default=""),
    _whole("points"),
    _text("state"),
    _whole("spend_for_s"), _whole("settle_until_ms"), _whole("granted_at_ms"), _whole("recalled_at_ms", default=0),
    _whole("ended_at_ms", default=0),
)  # fmt: skip
Index("lease_of_till", lease.c.till_id, lease.c.epoch, lease.c.state)
# Not an index by state: SQLite would read all that are active where it is asked for those of a few accounts.
IS_ACTIVE = lease.c.state == literal_column("'active'")
Index("lease_to_settle", lease.c.settle_until_ms, sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE)

# What is left of a lease's slices, in spending order.
lease_slice = _table(
    "lease_slice", "A",
    _whole("account_id", key=True),
    _text("lease_id", key=True),
    _text("valid_through", key=True), _text("issuer_id", key=True), _text("terms_id", key=True),
    _whole("points"),
    ForeignKeyConstraint(["account_id", "lease_id"], ["lease.account_id", "lease.lease_id"]),
)  # fmt: skip
IS_LEFT = lease_slice.c.points > literal_column("0")
Index("lease_slice_left", lease_slice.c.account_id, sqlite_where=IS_LEFT, postgresql_where=IS_LEFT)

# Tills that got rights of a lease from another till of their store, and have not given them back.
lease_holder = _table(
    "lease_holder", "A",
    _whole("account_id", ForeignKey("account.account_id"), key=True),
    _text("lease_id", key=True),
    _text("till_id", key=True), _whole("epoch", key=True),
)  # fmt: skip
Index("lease_of_holder", lease_holder.c.till_id, lease_holder.c.epoch)

# loyalty.lots.Debt, oldest first by `n`; issuer and terms are "" for an uncovered spend.
debt = _table(
    "debt", "A",
    _whole("account_id", ForeignKey("account.account_id"), key=True),
    _whole("n", key=True),
    _text("issuer_id"), _text("terms_id"),
    _text("at_partner_id"), _text("at_terms_id"),
    _whole("points"),
    _text("of_till"), _whole("of_epoch"), _whole("of_seq"),
    _whole("origin_period_no"),
)  # fmt: skip

# loyalty.books.Posting; account 0 holds what concerns partners only.
posting = _table(
    "posting", "A",
    _whole("account_id", key=True),
    _text("by_till", key=True), _whole("by_epoch", key=True), _whole("by_seq", key=True),
    _whole("n", key=True),
    _whole("account_version"),
    _text("unit"), _text("source"), _text("target"),
    _whole("amount"),
    _text("valid_through"), _text("issuer_id"), _text("terms_id"),
    _text("at_partner_id"), _text("at_terms_id"), _text("priced_by"),
    _text("of_till"), _whole("of_epoch"), _whole("of_seq"),
    _whole("period_no"), _whole("origin_period_no"),
)  # fmt: skip
Index("posting_of", posting.c.account_id, posting.c.of_till, posting.c.of_epoch, posting.c.of_seq)
Index("posting_in_period", posting.c.period_no, posting.c.issuer_id)
Index("posting_of_claims", posting.c.at_partner_id, sqlite_where=posting.c.unit == "claim",
      postgresql_where=posting.c.unit == "claim")  # fmt: skip

# loyalty.members.Use, one row per name and event; `points:` names are what the till granted and took.
use = _table(
    "use", "A",
    _whole("account_id", key=True),
    _whole("account_version", key=True),
    _text("name", key=True),
    _whole("amount"),
    _text("by_till"), _whole("by_epoch"), _whole("by_seq"),
)  # fmt: skip
# What tills are told of, years later too: of a member's points, which are most of the rows, the lots say enough.
# Written out, for an index of some rows serves a query that says the very same of them.
IS_COUNTER = func.substr(use.c.name, literal_column("1"), literal_column("7")) != literal_column("'points:'")
Index("use_of_counter", use.c.account_id, sqlite_where=IS_COUNTER, postgresql_where=IS_COUNTER)
Index("use_by_stream", use.c.account_id, use.c.by_till, use.c.by_epoch, use.c.by_seq)

# Uses of counters that belong to no account: coupons and certificates of bearers, limits of everybody together.
shared_use = _table(
    "shared_use", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("name", key=True),
    _whole("amount"),
)  # fmt: skip
Index("shared_use_by_name", shared_use.c.name)

# loyalty.certificates.Certificate, by its token: `kept` is JSON of it, the rest is what is looked for. `lapses_on` is
# the first last valid day of what is on it; `no` is its number in the lane of certificates, 0 until it is stamped.
certificate = _table(
    "certificate", "local",
    _text("code", key=True),
    _whole("n", default=0),
    _text("kept", default="{}"),
    _whole("balance_minor", default=0), _whole("owed_minor", default=0),
    _text("lapses_on", default=""),
    _text("blocked", default=""),
    _whole("no", default=0),
)  # fmt: skip
Index("certificate_no", certificate.c.no)
Index("certificate_to_lapse", certificate.c.lapses_on, sqlite_where=certificate.c.balance_minor > 0,
      postgresql_where=certificate.c.balance_minor > 0)  # fmt: skip

# What supervisors approved, one row an event; `actions` are the rules that wanted it, parted by blanks.
approval = _table(
    "approval", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("store_id"), _text("business_date"), _text("receipt_id"), _text("kind"),
    _text("cashier"), _text("supervisor"), _text("reason"), _text("actions"),
)  # fmt: skip
Index("approval_by_cashier", approval.c.store_id, approval.c.business_date, approval.c.cashier)

# Baskets that tills laid aside here: sync.parked_office. `state`: open, resting, taken, withdrawn; nothing is folded
# from them. `parked_heard`: in which generation a till has said which of them it has (central.parked_resting).
parked_basket = _table(
    "parked_basket", "local",
    _text("till_id", key=True), _text("park_id", key=True),
    _text("partner_id"), _whole("parked_at_ms"), _whole("until_ms"),
    _text("currency"), _whole("lines"), _whole("amount_minor"), _text("note"), _text("cashier"), _whole("has_card"),
    _bytes("body"),
    _text("state"), _text("taken_by", default=""), _text("resume_id", default=""),
)  # fmt: skip
Index("parked_basket_of", parked_basket.c.partner_id, parked_basket.c.state, parked_basket.c.parked_at_ms)
parked_heard = _table("parked_heard", "local", _text("till_id", key=True), _whole("generation"))

# What a till has set aside of a certificate for a sale of its own, in which epoch, and until when it may pay it.
certificate_hold = _table(
    "certificate_hold", "local",
    _text("code", key=True), _text("till_id", key=True),
    _whole("amount_minor"), _whole("until_ms"), _whole("epoch"),
    _whole("counter", default=0),  # of the till's newest ask; 0 where it counts none
)  # fmt: skip

# In which order events were folded into a certificate.
certificate_move = _table(
    "certificate_move", "local",
    _text("code", key=True), _whole("n", key=True),
    _text("till_id"), _whole("epoch"), _whole("seq"),
)  # fmt: skip
Index("certificate_move_by", certificate_move.c.till_id, certificate_move.c.epoch, certificate_move.c.seq)

# loyalty.books.Reversed
reversed_ = _table(
    "reversed", "A",
    _whole("account_id", key=True),
    _text("of_till", key=True), _whole("of_epoch", key=True), _whole("of_seq", key=True),
    _text("by_till", key=True), _whole("by_epoch", key=True), _whole("by_seq", key=True),
    _whole("account_version"),
    _whole("restored_points"), _whole("net_minor"),
    _text("granted"),  # JSON of Slices
    _text("funded"),  # JSON of Funded
    _text("regranted"), _text("refunded"),  # the same, given back by the void of a return
)  # fmt: skip

# Publishing

# Accounts that changed since they were last stamped; insert only, `mark` names the change.
changed = _table("changed", "A", _whole("account_id", key=True), _text("mark", key=True))

# The newest number of each lane; cursors are these numbers.
lane = _table("lane", "local", _text("lane", key=True), _whole("no"))

member_page = _table("member_page", "local", _whole("account_id", key=True), _whole("no"), UniqueConstraint("no"))

# What a lane's number was when, for the floor below which nobody remembers who is gone; `lane` has the floor.
lane_mark = _table("lane_mark", "local", _text("lane", key=True), _whole("no", key=True), _whole("at_ms"))

# sync.snapshots: what one span of the members was in one snapshot of the database; `sums` are account and row hash of
# each row. With `home`, a store's own members.
chunk = _table(
    "chunk", "local",
    _text("home", key=True), _whole("bits", key=True), _whole("part", key=True),
    _text("sha256"),
    _whole("rows"), _whole("wire_bytes"), _whole("raw_bytes"),
    _whole("as_of"),  # number of the members lane
    _whole("snapshot_no"), _whole("block_no"), _whole("made_at_ms"),
    _text("digest"),
    _bytes("data"), _bytes("sums"),
)  # fmt: skip
Index("chunk_by_hash", chunk.c.sha256)

# How far a till's stream had come in a snapshot that chunks are of.
snapshot_head = _table(
    "snapshot_head", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("snapshot_no", key=True), _whole("seq"),
)  # fmt: skip

hotlist = _table(
    "hotlist", "local",
    _text("card_token", key=True), _text("reason"), _whole("lifted", default=0), _whole("no"), _whole("changed_at_ms"),
    UniqueConstraint("no"),
)  # fmt: skip

programme = _table("programme", "ref", _text("version", key=True), _bytes("document"), _whole("added_at_ms"))

# What was published when; the same version may come back under a new number.
release = _table(
    "release", "ref",
    _whole("no", key=True),
    _text("version", ForeignKey("programme.version")),
    _whole("published_at_ms"),
    _text("published_by", default=""),
)  # fmt: skip

# Corrections that a second person has to approve. `state`: asked, done, refused.
correction = _table(
    "correction", "local",
    _text("correction_id", key=True),
    _text("kind"),  # adjustment, transfer, merge, opening, ending, fix, write_off, reinstate
    _bytes("fact"),  # central.wishes.Wish: what was asked, from which the event is made once it is approved
    _whole("account_id"), _whole("points"),
    _whole("other_id", default=0),  # the account that points go to
    _text("reason"),
    _text("state"),
    _text("asked_by"), _whole("asked_at_ms"),
    _text("decided_by", default=""), _whole("decided_at_ms", default=0), _text("note", default=""),
    _whole("redacted_ms", default=0),  # when the goods in a fix were let go
)  # fmt: skip
Index("correction_open", correction.c.state, correction.c.asked_at_ms)
Index("correction_asker", correction.c.asked_by)
Index("correction_account", correction.c.account_id)
Index("correction_other", correction.c.other_id)
Index("correction_decider", correction.c.decided_by)

# What was read from a file of an older scheme, central.opening_file.OpeningRow, until a second person decides about it.
opening_rows = _table(
    "opening_rows", "local",
    _text("rows_id", key=True),
    _text("file_id"),
    _bytes("rows"),
    _whole("kept_at_ms"),
)  # fmt: skip

# The worklist

# One row per finding; seq 0 is about a till or slot as a whole (an alarm). `state`: open, settled.
flag = _table(
    "flag", "local",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("cause", key=True),
    _whole("n", key=True),  # tells apart two findings of one cause about one event; counts from 0
    _text("figures"),  # JSON object
    _text("state", default="open"),
    _whole("times", default=1),
    _whole("raised_at_ms"), _whole("last_at_ms"),
    _text("receipt_id", default=""), _text("store_id", default=""), _text("partner_id", default=""),
    _text("business_date", default=""),
    _whole("account_id", default=0),
    _text("note", default=""), _text("settled_by", default=""), _whole("settled_at_ms", default=0),
)  # fmt: skip
Index("flag_open", flag.c.state, flag.c.raised_at_ms)

# What `central.recomputing.price_deltas` made of each finding that a receipt comes out otherwise: settled between
# these, or not.
price_delta = _table(
    "price_delta", "local",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("seq", key=True),
    _text("bearer_id"), _text("partner_id"), _whole("amount_minor"),
    _whole("settled_at_ms"),
)  # fmt: skip

# Periods and statements

# `state`: open, issued.
period = _table(
    "period", "ref",
    _whole("period_no", key=True),
    _text("state"),
    _text("from_on", default=""), _text("through", default=""),
    _whole("opened_at_ms"), _whole("issued_at_ms", default=0),
)  # fmt: skip

# Which events of each stream a period covers, for its partners to check.
period_range = _table(
    "period_range", "T",
    _text("till_id", key=True), _whole("epoch", key=True), _whole("period_no", key=True),
    _whole("first_seq"), _whole("last_seq"),
)  # fmt: skip

# `statement_id` is f"{period_no}:{partner_id}"; `document` is the frozen dataset that was hashed.
statement = _table(
    "statement", "D",
    _text("statement_id", key=True),
    _whole("period_no"), _text("partner_id"), _text("currency"),
    _whole("total_minor"),
    _text("sha256"),
    _bytes("document"),
    _whole("issued_at_ms"),
)  # fmt: skip

# loyalty.statements.StatementLine
statement_line = _table(
    "statement_line", "D",
    _text("statement_id", ForeignKey("statement.statement_id"), key=True),
    _whole("n", key=True),
    _whole("period_no"), _whole("origin_period_no", default=0),
    _text("partner_id"), _text("kind"), _text("counterparty_id", default=""), _text("terms_id", default=""),
    _whole("points", default=0), _whole("price_micro", default=0), _whole("exact_micro"), _whole("amount_minor"),
    _whole("residual_micro"),
)  # fmt: skip

payment = _table(
    "payment", "ref",
    _whole("period_no", key=True), _whole("n", key=True),
    _text("payer_id"), _text("payee_id"),
    _whole("amount_minor"),
    _text("state", default="due"), _whole("changed_at_ms", default=0),
)  # fmt: skip

# central.cash.CashEntry: money that moved between a partner and the operator; above 0 the partner paid.
cash_entry = _table(
    "cash_entry", "ref",
    _text("entry_id", key=True),
    _text("partner_id", ForeignKey("partner.partner_id")),
    _text("kind"),  # payment, deposit
    _whole("amount_minor"),
    _text("happened_on"),
    _whole("period_no", default=0),
    _text("reference", default=""),
    _text("entered_by"), _whole("entered_at_ms"),
)  # fmt: skip
Index("cash_of_partner", cash_entry.c.partner_id, cash_entry.c.happened_on)

# The console

console_user = _table(
    "console_user", "ref",
    _text("user_id", key=True),
    _text("login"), _text("name", default=""),
    _text("password_hash"),
    _text("role"),
    _text("partner_id", default=""),  # "" sees every partner
    _text("language", default="en"),
    _text("state", default="active"),
    _whole("created_at_ms"), _whole("failures", default=0), _whole("locked_until_ms", default=0),
    UniqueConstraint("login"),
)  # fmt: skip

console_session = _table(
    "console_session", "local",
    _text("session_hash", key=True),
    _text("user_id", ForeignKey("console_user.user_id")),
    _text("csrf"),
    _whole("created_at_ms"), _whole("seen_at_ms"), _whole("expires_ms"),
    _text("about", default="{}"),
)  # fmt: skip

# Runs of each chore by how they ended: done, failed, missed, still_running, and `begun` for when somebody began to keep
# house; `trouble` is what the last failure said.
chore_run = _table(
    "chore_run", "local",
    _text("chore", key=True),
    _text("outcome", key=True),
    _whole("runs"), _whole("last_ms"),
    _text("trouble", default=""),
)  # fmt: skip

# What the doctor found wrong and whoever is on call was told of, once until it clears; `cleared_at_ms` 0: it is so now.
alert = _table(
    "alert", "local",
    _text("code", key=True),
    _text("about", key=True),
    _text("level"), _text("say"), _text("todo"),
    _whole("times"),
    _whole("raised_at_ms"), _whole("cleared_at_ms"),
)  # fmt: skip

# What is to be told of an alert, by channel (mail, webhook). `state`: due, sent, given_up. `said` is JSON.
notice = _table(
    "notice", "local",
    _text("notice_id", key=True),
    _text("channel", key=True),
    _text("said"),
    _text("state", default="due"),
    _whole("made_at_ms"), _whole("next_try_ms"), _whole("tries", default=0),
    _text("trouble", default=""),
)  # fmt: skip
Index("notice_due", notice.c.state, notice.c.next_try_ms)

# Who did what, when, about what; `audit_id` is drawn by the application and sorts by time.
audit = _table(
    "audit", "local",
    _text("audit_id", key=True),
    _whole("at_ms"),
    _text("user_id"), _text("action"), _text("about"),
    _text("figures", default="{}"),
)  # fmt: skip


def _unless_redacted(name: str) -> str:
    """What is redacted for the first time, and otherwise stays as it is, may be changed."""
    stays = [column.name for column in metadata.tables[name].c if column.name not in REDACTABLE[name]]
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in stays)
    return f"WHEN OLD.redacted_ms <> 0 OR NEW.redacted_ms = 0 OR {changed} "


for _name in APPEND_ONLY:
    for _what in ("UPDATE", "DELETE"):
        _when = _unless_redacted(_name) if _what == "UPDATE" and _name in REDACTABLE else ""
        _trigger = DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER {_name}_no_{_what.lower()} BEFORE {_what} ON {_name} {_when}"
            f"BEGIN SELECT RAISE(ABORT, '{_name} is append-only'); END"
        )
        events.listen(metadata.tables[_name], "after_create", _trigger.execute_if(dialect="sqlite"))
