"""Baskets laid aside for any till of the store."""

from sqlalchemy import Index

from central.database.tables.columns import octets, table, text, whole

# Baskets that tills laid aside here: sync.parked_office. `state`: open, resting, taken, withdrawn; nothing is folded
# from them. `parked_heard`: in which generation a till has said which of them it has (central.tills.parked_resting).
parked_basket = table(
    "parked_basket", "local",
    text("till_id", key=True), text("park_id", key=True),
    text("partner_id"), whole("parked_at_ms"), whole("until_ms"),
    text("currency"), whole("lines"), whole("amount_minor"), text("note"), text("cashier"), whole("has_card"),
    octets("body"),
    text("state"), text("taken_by", default=""), text("resume_id", default=""),
)  # fmt: skip
Index("parked_basket_of", parked_basket.c.partner_id, parked_basket.c.state, parked_basket.c.parked_at_ms)

parked_heard = table("parked_heard", "local", text("till_id", key=True), whole("generation"))
