"""Certificates, what tills lay down on them, and what moved."""

from sqlalchemy import Index

from central.database.tables.columns import table, text, whole

# loyalty.certificates.Certificate, by its token: `kept` is JSON of it, the rest is what is looked for. `lapses_on` is
# the first last valid day of what is on it; `no` is its number in the lane of certificates, 0 until it is stamped.
certificate = table(
    "certificate", "local",
    text("code", key=True),
    whole("n", default=0),
    text("kept", default="{}"),
    whole("balance_minor", default=0), whole("owed_minor", default=0),
    text("lapses_on", default=""),
    text("blocked", default=""),
    whole("no", default=0),
)  # fmt: skip
Index("certificate_no", certificate.c.no)
Index("certificate_to_lapse", certificate.c.lapses_on, sqlite_where=certificate.c.balance_minor > 0,
      postgresql_where=certificate.c.balance_minor > 0)  # fmt: skip

# What a till has set aside of a certificate for a sale of its own, in which epoch, and until when it may pay it.
certificate_hold = table(
    "certificate_hold", "local",
    text("code", key=True), text("till_id", key=True),
    whole("amount_minor"), whole("until_ms"), whole("epoch"),
    whole("counter", default=0),  # of the till's newest ask; 0 where it counts none
)  # fmt: skip

# In which order events were folded into a certificate.
certificate_move = table(
    "certificate_move", "local",
    text("code", key=True), whole("n", key=True),
    text("till_id"), whole("epoch"), whole("seq"),
)  # fmt: skip
Index("certificate_move_by", certificate_move.c.till_id, certificate_move.c.epoch, certificate_move.c.seq)
