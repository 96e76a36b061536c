"""Who may see the console, and who did what there."""

from sqlalchemy import ForeignKey, UniqueConstraint

from central.database.tables.columns import table, text, whole

console_user = table(
    "console_user", "ref",
    text("user_id", key=True),
    text("login"), text("name", default=""),
    text("password_hash"),
    text("role"),
    text("partner_id", default=""),  # "" sees every partner
    text("language", default="en"),
    text("state", default="active"),
    whole("created_at_ms"), whole("failures", default=0), whole("locked_until_ms", default=0),
    UniqueConstraint("login"),
)  # fmt: skip

console_session = table(
    "console_session", "local",
    text("session_hash", key=True),
    text("user_id", ForeignKey("console_user.user_id")),
    text("csrf"),
    whole("created_at_ms"), whole("seen_at_ms"), whole("expires_ms"),
    text("about", default="{}"),
)  # fmt: skip

# Who did what, when, about what; `audit_id` is drawn by the application and sorts by time.
audit = table(
    "audit", "local",
    text("audit_id", key=True),
    whole("at_ms"),
    text("user_id"), text("action"), text("about"),
    text("figures", default="{}"),
)  # fmt: skip
