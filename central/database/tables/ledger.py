"""Lots, leases, debts and postings: the books."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, func, literal_column

from central.database.tables.columns import table, text, whole

lot = table(
    "lot", "A",
    whole("account_id", ForeignKey("account.account_id"), key=True),
    text("valid_through", key=True),
    text("issuer_id", key=True),
    text("terms_id", key=True),
    whole("points"),
    text("earned_on", default=""),  # business date of the first accrual since it was last empty
    whole("expired", default=0),  # points that lapsed and that no late spend has taken since
    text("redated_to", default=""),  # the last valid day that its points were given since; "" where they kept theirs
)  # fmt: skip
Index("lot_to_lapse", lot.c.valid_through, lot.c.account_id, sqlite_where=lot.c.points > 0,
      postgresql_where=lot.c.points > 0)  # fmt: skip

# Authority to spend an account's points: a hold for one sale, or a lease. `state`: active, ended, reclaimed.
lease = table(
    "lease", "A",
    whole("account_id", ForeignKey("account.account_id"), key=True),
    text("lease_id", key=True),
    text("till_id"), whole("epoch"), whole("grant_no"),
    text("kind"),  # hold, lease
    text("hold_id", default=""),
    whole("points"),
    text("state"),
    whole("spend_for_s"), whole("settle_until_ms"), whole("granted_at_ms"), whole("recalled_at_ms", default=0),
    whole("ended_at_ms", default=0),
)  # fmt: skip
Index("lease_of_till", lease.c.till_id, lease.c.epoch, lease.c.state)

# Not an index by state: SQLite would read all that are active where it is asked for those of a few accounts.
IS_ACTIVE = lease.c.state == literal_column("'active'")
Index("lease_to_settle", lease.c.settle_until_ms, sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE)

# What is left of a lease's slices, in spending order.
lease_slice = table(
    "lease_slice", "A",
    whole("account_id", key=True),
    text("lease_id", key=True),
    text("valid_through", key=True), text("issuer_id", key=True), text("terms_id", key=True),
    whole("points"),
    ForeignKeyConstraint(["account_id", "lease_id"], ["lease.account_id", "lease.lease_id"]),
)  # fmt: skip

IS_LEFT = lease_slice.c.points > literal_column("0")
Index("lease_slice_left", lease_slice.c.account_id, sqlite_where=IS_LEFT, postgresql_where=IS_LEFT)

# Tills that got rights of a lease from another till of their store, and have not given them back.
lease_holder = table(
    "lease_holder", "A",
    whole("account_id", ForeignKey("account.account_id"), key=True),
    text("lease_id", key=True),
    text("till_id", key=True), whole("epoch", key=True),
)  # fmt: skip
Index("lease_of_holder", lease_holder.c.till_id, lease_holder.c.epoch)

# loyalty.lots.Debt, oldest first by `n`; issuer and terms are "" for an uncovered spend.
debt = table(
    "debt", "A",
    whole("account_id", ForeignKey("account.account_id"), key=True),
    whole("n", key=True),
    text("issuer_id"), text("terms_id"),
    text("at_partner_id"), text("at_terms_id"),
    whole("points"),
    text("of_till"), whole("of_epoch"), whole("of_seq"),
    whole("origin_period_no"),
)  # fmt: skip

# loyalty.ledger.books.Posting; account 0 holds what concerns partners only.
posting = table(
    "posting", "A",
    whole("account_id", key=True),
    text("by_till", key=True), whole("by_epoch", key=True), whole("by_seq", key=True),
    whole("n", key=True),
    whole("account_version"),
    text("unit"), text("source"), text("target"),
    whole("amount"),
    text("valid_through"), text("issuer_id"), text("terms_id"),
    text("at_partner_id"), text("at_terms_id"), text("priced_by"),
    text("of_till"), whole("of_epoch"), whole("of_seq"),
    whole("period_no"), whole("origin_period_no"),
)  # fmt: skip
Index("posting_of", posting.c.account_id, posting.c.of_till, posting.c.of_epoch, posting.c.of_seq)
Index("posting_in_period", posting.c.period_no, posting.c.issuer_id)
Index("posting_of_claims", posting.c.at_partner_id, sqlite_where=posting.c.unit == "claim",
      postgresql_where=posting.c.unit == "claim")  # fmt: skip

# loyalty.members.Use, one row per name and event; `points:` names are what the till granted and took.
use = table(
    "use", "A",
    whole("account_id", key=True),
    whole("account_version", key=True),
    text("name", key=True),
    whole("amount"),
    text("by_till"), whole("by_epoch"), whole("by_seq"),
)  # fmt: skip

# What tills are told of, years later too: of a member's points, which are most of the rows, the lots say enough.
# Written out, for an index of some rows serves a query that says the very same of them.
IS_COUNTER = func.substr(use.c.name, literal_column("1"), literal_column("7")) != literal_column("'points:'")
Index("use_of_counter", use.c.account_id, sqlite_where=IS_COUNTER, postgresql_where=IS_COUNTER)
Index("use_by_stream", use.c.account_id, use.c.by_till, use.c.by_epoch, use.c.by_seq)

# Uses of counters that belong to no account: coupons and certificates of bearers, limits of everybody together.
shared_use = table(
    "shared_use", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("name", key=True),
    whole("amount"),
)  # fmt: skip
Index("shared_use_by_name", shared_use.c.name)

# loyalty.ledger.books.Reversed
reversed_ = table(
    "reversed", "A",
    whole("account_id", key=True),
    text("of_till", key=True), whole("of_epoch", key=True), whole("of_seq", key=True),
    text("by_till", key=True), whole("by_epoch", key=True), whole("by_seq", key=True),
    whole("account_version"),
    whole("restored_points"), whole("net_minor"),
    text("granted"),  # JSON of Slices
    text("funded"),  # JSON of Funded
    text("regranted"), text("refunded"),  # the same, given back by the void of a return
)  # fmt: skip
