"""Periods, statements and what was paid."""

from sqlalchemy import ForeignKey, Index

from central.database.tables.columns import octets, table, text, whole

# `state`: open, issued.
period = table(
    "period", "ref",
    whole("period_no", key=True),
    text("state"),
    text("from_on", default=""), text("through", default=""),
    whole("opened_at_ms"), whole("issued_at_ms", default=0),
)  # fmt: skip

# Which events of each stream a period covers, for its partners to check.
period_range = table(
    "period_range", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("period_no", key=True),
    whole("first_seq"), whole("last_seq"),
)  # fmt: skip

# `statement_id` is f"{period_no}:{partner_id}"; `document` is the frozen dataset that was hashed.
statement = table(
    "statement", "D",
    text("statement_id", key=True),
    whole("period_no"), text("partner_id"), text("currency"),
    whole("total_minor"),
    text("sha256"),
    octets("document"),
    whole("issued_at_ms"),
)  # fmt: skip

# loyalty.settling.statements.StatementLine
statement_line = table(
    "statement_line", "D",
    text("statement_id", ForeignKey("statement.statement_id"), key=True),
    whole("n", key=True),
    whole("period_no"), whole("origin_period_no", default=0),
    text("partner_id"), text("kind"), text("counterparty_id", default=""), text("terms_id", default=""),
    whole("points", default=0), whole("price_micro", default=0), whole("exact_micro"), whole("amount_minor"),
    whole("residual_micro"),
)  # fmt: skip

payment = table(
    "payment", "ref",
    whole("period_no", key=True), whole("n", key=True),
    text("payer_id"), text("payee_id"),
    whole("amount_minor"),
    text("state", default="due"), whole("changed_at_ms", default=0),
)  # fmt: skip

# central.settlement.cash.CashEntry: money that moved between a partner and the operator; above 0 the partner paid.
cash_entry = table(
    "cash_entry", "ref",
    text("entry_id", key=True),
    text("partner_id", ForeignKey("partner.partner_id")),
    text("kind"),  # payment, deposit
    whole("amount_minor"),
    text("happened_on"),
    whole("period_no", default=0),
    text("reference", default=""),
    text("entered_by"), whole("entered_at_ms"),
)  # fmt: skip
Index("cash_of_partner", cash_entry.c.partner_id, cash_entry.c.happened_on)
