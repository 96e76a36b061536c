"""Accounts, their members and cards, and what people agreed to."""

from sqlalchemy import ForeignKey, Index

from central.database.tables.columns import octets, of_stream, table, text, whole

# `version` counts the events folded in. `status`: registered, unregistered (a card nobody has claimed), closed.
# What happens to an account that was `merged_into` another one happens to that one.
account = table(
    "account", "A",
    whole("account_id", key=True),
    whole("version", default=0),
    text("status", default="registered"),
    whole("created_at_ms", default=0),
    whole("merged_into", default=0),
    whole("version_before", default=0),  # what it was when it was last locked, which tells whoever locks it
)  # fmt: skip
Index("account_merged", account.c.merged_into, sqlite_where=account.c.merged_into > 0,
      postgresql_where=account.c.merged_into > 0)  # fmt: skip

member = table(
    "member", "A",
    whole("account_id", ForeignKey("account.account_id"), key=True),
    text("tier", default=""),
    text("segments", default="[]"),  # JSON list of names
    text("language", default=""),
    text("home_store_id", default=""),
    text("birthday_mmdd", default=""),
)  # fmt: skip
Index("member_of_store", member.c.home_store_id, member.c.account_id)

# The number itself is nowhere. `state`: active, blocked.
card = table(
    "card", "K",
    text("card_token", key=True),
    whole("account_id"),
    text("kind", default=""),  # loyalty.cards.card_rules.CardKind, "" where only the token is known
    text("state", default="active"),
    whole("since_ms"),
    text("last4", default=""),
    text("replaced_by", default=""),  # the token of the card that took its place
    text("key_id", default="1"),  # under which the token is this card's name
    text("same_as", default=""),  # one of the names of the card, the same for all of them; "" while it has but this
)  # fmt: skip
Index("card_of_account", card.c.account_id)
Index("card_same_as", card.c.same_as, sqlite_where=card.c.same_as > "", postgresql_where=card.c.same_as > "")

# Who joined where: loyalty.facts.member_events.Enrolled. `sealed_sha256` is of the personal data that came beside it.
enrolment = table(
    "enrolment", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("event_id"),
    whole("account_id"), text("card_token"),
    text("language", default=""), text("asked_on"), text("store_id"), whole("at_ms"),
    text("sealed_sha256", default=""),
)  # fmt: skip
Index("enrolment_of_account", enrolment.c.account_id)
Index("enrolment_by_id", enrolment.c.till_id, enrolment.c.event_id)

# Each consent given, confirmed or withdrawn, with its evidence: loyalty.facts.member_events.ConsentSaid. What holds now
# is a fold over them. A confirmation is known by its `code` alone, so its account is 0.
consent = table(
    "consent", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True), whole("n", key=True),
    whole("account_id"),
    text("what"),  # given, confirmed, withdrawn
    text("purpose", default=""), text("channel", default=""), text("version", default=""),
    text("language", default=""), text("asked_on"), text("code", default=""),
    text("store_id", default=""), whole("at_ms"),
)  # fmt: skip
Index("consent_of_account", consent.c.account_id)
Index("consent_by_code", consent.c.code)

# Who a member is, under a key of their own that is itself sealed under `key_id`: without the row nothing of it can be
# read. `found_by` are keyed hashes of telephone and e-mail.
person = table(
    "person", "A",
    whole("account_id", ForeignKey("account.account_id"), key=True),
    octets("key"), octets("data"),
    whole("changed_at_ms"), text("key_id", default="1"),
)  # fmt: skip
Index("person_under_key", person.c.key_id)

found_by = table("found_by", "local", text("mark", key=True), whole("account_id", key=True))
Index("found_by_account", found_by.c.account_id)

# loyalty.facts.member_events.Claimed, and what head office made of it. `state`: asked, granted, refused (`reason` says
# why). `due` 1: goods of its receipt came back since. `granted` is JSON of Earned, what stands of it.
receipt_claim = table(
    "receipt_claim", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("seq", key=True),
    text("event_id"),
    whole("account_id"), text("card_token"), text("last4", default=""),
    text("store_id"), text("business_date"),
    text("of_till", default=""), whole("of_epoch", default=0), whole("of_seq", default=0),
    text("mark", default=""),  # of what is printed on the receipt: the same paper typed again has the same
    text("state", default="asked"), text("reason", default=""),
    whole("points", default=0), text("granted", default="[]"), whole("facts", default=0),
    whole("due", default=0),
    whole("asked_at_ms"), whole("decided_at_ms", default=0), whole("looked_at_ms", default=0),
)  # fmt: skip
Index("receipt_claim_open", receipt_claim.c.state, receipt_claim.c.due, receipt_claim.c.looked_at_ms)
Index("receipt_claim_of", receipt_claim.c.of_till, receipt_claim.c.of_epoch, receipt_claim.c.of_seq)
Index("receipt_claim_mark", receipt_claim.c.mark)
Index("receipt_claim_of_account", receipt_claim.c.account_id, receipt_claim.c.business_date)
Index("receipt_claim_by_id", receipt_claim.c.till_id, receipt_claim.c.event_id)

# loyalty.cards.card_numbers.NumberSpan: places of a card range that a till may give out; never granted again.
number_span = table(
    "number_span", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("span_no", key=True),
    text("kind"), text("prefix"), whole("digits"), whole("first"), whole("last"), whole("granted_at_ms"),
    text("card_key_id", default="1"),
    of_stream(),
)  # fmt: skip

# The next place of a card range that nobody was granted, and the card key that scatters the range for good.
number_next = table(
    "number_next", "local",
    text("kind", key=True), text("prefix", key=True), whole("place"), text("card_key_id", default="1"),
)  # fmt: skip
