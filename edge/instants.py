"""RFC 3339 to milliseconds and back; store time without a time-zone database (DECISIONS 6)."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

import msgspec

from loyalty.trouble import BadInput

_EPOCH = datetime.fromtimestamp(0, UTC)


class BadInstant(BadInput):
    code = "request.bad_instant"
    status = 422


def read_instant(text: str) -> tuple[int, int]:
    """Milliseconds since 1970 and minutes east of Greenwich of an RFC 3339 instant. Raises: BadInstant."""
    try:
        instant = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
        since = instant.astimezone(UTC) - _EPOCH
    except (msgspec.ValidationError, OverflowError):
        raise BadInstant("Send sold_at with its offset, such as 2026-03-05T18:30:00+01:00.") from None
    offset = instant.utcoffset() or timedelta()
    return since // timedelta(milliseconds=1), offset // timedelta(minutes=1)


def show_instant(at_ms: int, offset_min: int = 0) -> str:
    """An instant as we send it: `2026-03-05T18:30:00.000+01:00`."""
    return local_time(at_ms, offset_min).isoformat(timespec="milliseconds")


def show_known(at_ms: int, offset_min: int) -> str | None:
    """As `show_instant`; none for 0, which means never."""
    return show_instant(at_ms, offset_min) if at_ms else None


def local_time(at_ms: int, offset_min: int) -> datetime:
    """An instant in a store's own time."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(timezone(timedelta(minutes=offset_min)))
