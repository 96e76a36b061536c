"""Partners, their stores and terms, tills and their keys."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, UniqueConstraint

from central.database.tables.columns import octets, table, text, whole

setting = table("setting", "ref", text("name", key=True), text("value"))

# Beyond `limit_minor` of exposure an issuer is called to cover its points; none where nobody set a limit. Of its points
# `expected_redemption_bp` are expected to be redeemed; `shares_defaults` is its weight in sharing others' defaults.
partner = table(
    "partner", "ref", text("partner_id", key=True), text("name"), whole("limit_minor", none=True),
    whole("expected_redemption_bp", default=10_000), whole("shares_defaults", default=0),
)  # fmt: skip

store = table("store", "ref", text("store_id", key=True), text("name"))

# A store belongs to a partner from a date on.
store_partner = table(
    "store_partner", "ref",
    text("store_id", ForeignKey("store.store_id"), key=True),
    text("from_on", key=True),
    text("partner_id", ForeignKey("partner.partner_id")),
)  # fmt: skip

# loyalty.terms.Terms
terms = table(
    "terms", "ref",
    text("terms_id", key=True),
    text("partner_id", ForeignKey("partner.partner_id")),
    text("from_on"),
    whole("fee_micro"), whole("funding_micro"), whole("advance_micro"), whole("reimburse_micro"),
    whole("expiry_back_micro"),
    Column("refunds_fee", Boolean().with_variant(Integer, "sqlite"), nullable=False, default=False),
    whole("uncovered_micro", default=0),
)  # fmt: skip

# A lane in a shop, whichever machine stands there; `epoch` is the present one, 0 before the first enrolment.
till = table(
    "till", "ref",
    text("till_id", key=True),
    text("store_id", ForeignKey("store.store_id")),
    text("label"),
    whole("epoch", default=0),
    text("install_id", default=""),
    whole("new_key_wanted", default=0),  # 1 until the till has made itself a new key
)  # fmt: skip

till_key = table(
    "till_key", "ref",
    text("till_id", ForeignKey("till.till_id"), key=True),
    whole("key_no", key=True),
    text("public"),
    whole("epoch"),
    whole("from_ms"),
    text("state", default="active"),  # active, replaced (good for events up to `until_seq`), revoked
    whole("until_seq", default=0),
)  # fmt: skip

# sync.rotation.Notice: each new key of the centre, signed by it and by the one before.
centre_key = table("centre_key", "ref", whole("key_no", key=True), text("public"), octets("notice"))

# The programme's card keys after the first, and the first once another follows it; each is a file beside the first's.
# `retired_ms` is 0 while a key is in force.
card_key = table(
    "card_key", "ref", whole("no", key=True), text("key_id"), whole("made_ms"), whole("retired_ms", default=0),
    UniqueConstraint("key_id"),
)  # fmt: skip

# The same of the keys of personal data.
people_key = table(
    "people_key", "ref", whole("no", key=True), text("key_id"), whole("made_ms"), whole("retired_ms", default=0),
    UniqueConstraint("key_id"),
)  # fmt: skip

# sync.enrolment.Slot; the code itself and the card keys are not here.
slot = table(
    "slot", "local",
    text("code_hash", key=True),
    text("till_id", ForeignKey("till.till_id")),
    whole("epoch"), whole("key_no"),
    text("genesis"),
    whole("expires_ms"),
    text("used_by_key", default=""), text("used_by_install", default=""),
)  # fmt: skip
