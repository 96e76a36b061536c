"""`tallypoint central alerts`: what whoever is on call was told of, and whether the ways to tell them work."""

import argparse

from sqlalchemy import select

from central.database.tables import alert, notice
from central.ports import reading
from central.upkeep.alert_channels import Notice, channels_of
from loyalty.trouble import Refusal
from tallypoint.central.office import CLOCK, Adder, open_office, say


class NoChannel(Refusal):
    code = "alerts.no_channel"


def add_alerts(action: Adder) -> None:
    """Add `alerts`."""
    alerts = action("alerts", run_alerts, "what is wrong now, as whoever is on call was told")
    alerts.add_argument("--test", action="store_true", help="send a message on every channel, and say whether it went")


def run_alerts(args: argparse.Namespace) -> int:
    """List, or try the channels out."""
    settings, engine = open_office(args)
    if args.test:
        ways = channels_of(settings)
        if not ways:
            raise NoChannel("No way to tell anybody is set: alert_mail_to or alert_webhook.")
        trial = Notice(
            id=f"test|{CLOCK.wall_ms()}", kind="raised", level="advice", code="alerts.test", about="",
            say="This is a test.", do="Nothing needs to be done.", at_ms=CLOCK.wall_ms(),
        )  # fmt: skip
        for way in ways:
            way.send([trial])
        return say(args, {"sent": [way.name for way in ways]}, f"Sent: {', '.join(way.name for way in ways)}.")
    with reading(engine) as tx:
        open_now = select(alert).where(alert.c.cleared_at_ms == 0).order_by(alert.c.raised_at_ms)
        rows = [dict(row) for row in tx.execute(open_now).mappings()]
        due = select(notice.c.notice_id, notice.c.channel, notice.c.tries, notice.c.trouble)
        untold = [dict(row) for row in tx.execute(due.where(notice.c.state == "due")).mappings()]
    lines = [f"{row['level']:<7} {row['about']}: {row['say']}" for row in rows] or ["Nothing is wrong."]
    lines += [f"not told by {row['channel']} after {row['tries']} tries: {row['trouble']}" for row in untold]
    return say(args, {"alerts": rows, "untold": untold}, "\n".join(lines))
