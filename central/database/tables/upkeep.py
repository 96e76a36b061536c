"""Chores, alerts, and whom they were told."""

from sqlalchemy import Index

from central.database.tables.columns import table, text, whole

# Runs of each chore by how they ended: done, failed, missed, still_running, and `begun` for when somebody began to keep
# house; `trouble` is what the last failure said.
chore_run = table(
    "chore_run", "local",
    text("chore", key=True),
    text("outcome", key=True),
    whole("runs"), whole("last_ms"),
    text("trouble", default=""),
)  # fmt: skip

# What the doctor found wrong and whoever is on call was told of, once until it clears; `cleared_at_ms` 0: it is so now.
alert = table(
    "alert", "local",
    text("code", key=True),
    text("about", key=True),
    text("level"), text("say"), text("todo"),
    whole("times"),
    whole("raised_at_ms"), whole("cleared_at_ms"),
)  # fmt: skip

# What is to be told of an alert, by channel (mail, webhook). `state`: due, sent, given_up. `said` is JSON.
notice = table(
    "notice", "local",
    text("notice_id", key=True),
    text("channel", key=True),
    text("said"),
    text("state", default="due"),
    whole("made_at_ms"), whole("next_try_ms"), whole("tries", default=0),
    text("trouble", default=""),
)  # fmt: skip
Index("notice_due", notice.c.state, notice.c.next_try_ms)
