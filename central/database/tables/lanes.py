"""What tills are told: changes, chunks, hotlist, programme."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint

from central.database.tables.columns import octets, table, text, whole

# Accounts that changed since they were last stamped; insert only, `mark` names the change.
changed = table("changed", "A", whole("account_id", key=True), text("mark", key=True))

# The newest number of each lane; cursors are these numbers.
lane = table("lane", "local", text("lane", key=True), whole("no"))

member_page = table("member_page", "local", whole("account_id", key=True), whole("no"), UniqueConstraint("no"))

# What a lane's number was when, for the floor below which nobody remembers who is gone; `lane` has the floor.
lane_mark = table("lane_mark", "local", text("lane", key=True), whole("no", key=True), whole("at_ms"))

# sync.snapshots: what one span of the members was in one snapshot of the database; `sums` are account and row hash of
# each row. With `home`, a store's own members.
chunk = table(
    "chunk", "local",
    text("home", key=True), whole("bits", key=True), whole("part", key=True),
    text("sha256"),
    whole("rows"), whole("wire_bytes"), whole("raw_bytes"),
    whole("as_of"),  # number of the members lane
    whole("snapshot_no"), whole("block_no"), whole("made_at_ms"),
    text("digest"),
    octets("data"), octets("sums"),
)  # fmt: skip
Index("chunk_by_hash", chunk.c.sha256)

# How far a till's stream had come in a snapshot that chunks are of.
snapshot_head = table(
    "snapshot_head", "T",
    text("till_id", key=True), whole("epoch", key=True), whole("snapshot_no", key=True), whole("seq"),
)  # fmt: skip

hotlist = table(
    "hotlist", "local",
    text("card_token", key=True), text("reason"), whole("lifted", default=0), whole("no"), whole("changed_at_ms"),
    UniqueConstraint("no"),
)  # fmt: skip

programme = table("programme", "ref", text("version", key=True), octets("document"), whole("added_at_ms"))

# What was published when; the same version may come back under a new number.
release = table(
    "release", "ref",
    whole("no", key=True),
    text("version", ForeignKey("programme.version")),
    whole("published_at_ms"),
    text("published_by", default=""),
)  # fmt: skip
