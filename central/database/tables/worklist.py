"""What does not add up, and what supervisors approved."""

from sqlalchemy import Index

from central.database.tables.columns import table, text, whole

# What supervisors approved, one row an event; `actions` are the rules that wanted it, parted by blanks.
approval = table(
    "approval", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("store_id"), text("business_date"), text("receipt_id"), text("kind"),
    text("cashier"), text("supervisor"), text("reason"), text("actions"),
)  # fmt: skip
Index("approval_by_cashier", approval.c.store_id, approval.c.business_date, approval.c.cashier)

# One row per finding; seq 0 is about a till or slot as a whole (an alarm). `state`: open, settled.
flag = table(
    "flag", "local",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("cause", key=True),
    whole("n", key=True),  # tells apart two findings of one cause about one event; counts from 0
    text("figures"),  # JSON object
    text("state", default="open"),
    whole("times", default=1),
    whole("raised_at_ms"), whole("last_at_ms"),
    text("receipt_id", default=""), text("store_id", default=""), text("partner_id", default=""),
    text("business_date", default=""),
    whole("account_id", default=0),
    text("note", default=""), text("settled_by", default=""), whole("settled_at_ms", default=0),
)  # fmt: skip
Index("flag_open", flag.c.state, flag.c.raised_at_ms)

# What `central.recomputing.price_deltas` made of each finding that a receipt comes out otherwise: settled between
# these, or not.
price_delta = table(
    "price_delta", "local",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("bearer_id"), text("partner_id"), whole("amount_minor"),
    whole("settled_at_ms"),
)  # fmt: skip
