"""What people wish for that a second one approves."""

from sqlalchemy import Index

from central.database.tables.columns import octets, table, text, whole

# Corrections that a second person has to approve. `state`: asked, done, refused.
correction = table(
    "correction", "local",
    text("correction_id", key=True),
    text("kind"),  # adjustment, transfer, merge, opening, ending, fix, write_off, reinstate
    octets("fact"),  # central.corrections.wishes.Wish: what was asked, from which the event is made once it is approved
    whole("account_id"), whole("points"),
    whole("other_id", default=0),  # the account that points go to
    text("reason"),
    text("state"),
    text("asked_by"), whole("asked_at_ms"),
    text("decided_by", default=""), whole("decided_at_ms", default=0), text("note", default=""),
    whole("redacted_ms", default=0),  # when the goods in a fix were let go
)  # fmt: skip
Index("correction_open", correction.c.state, correction.c.asked_at_ms)
Index("correction_asker", correction.c.asked_by)
Index("correction_account", correction.c.account_id)
Index("correction_other", correction.c.other_id)
Index("correction_decider", correction.c.decided_by)

# What was read from a file of an older scheme, central.corrections.opening_file.OpeningRow, until a second person
# decides about it.
opening_rows = table(
    "opening_rows", "local",
    text("rows_id", key=True),
    text("file_id"),
    octets("rows"),
    whole("kept_at_ms"),
)  # fmt: skip
