"""Programmes: checked, kept by the hash of what they say, published one after the other."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from central.coalition.settings import get_setting
from central.database.asking import ask_first
from central.database.lanes import next_no
from central.database.rows import find, put
from central.database.tables import lane, partner, programme, release
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import BadProgramme, Programme, canonical, read_programme
from sync.lanes import MAX_PAGE_RAW_BYTES

MOST_BYTES = MAX_PAGE_RAW_BYTES - 1024  # of a document, which a page has whole beside its own fields


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A programme that tills are to use from now on."""

    version: str
    no: int


def publish(tx: Connection, text: str | bytes, now_ms: int, by: str = "") -> Published:
    """Check a programme and publish it to all tills; publishing the current one again changes nothing.

    Raises:
        BadProgramme: not a programme, another currency, a partner that is not in the coalition, or more than a page
            brings to a till. Nothing changes.
    """
    told = read_programme(text)
    _check_fits(tx, told)
    document = canonical(told)
    _check_goes_down(document)
    version = told.version
    if (newest := _newest(tx)) is not None and newest.version == version:
        return Published(version=version, no=newest.no)
    row = {"version": version, "document": document, "added_at_ms": now_ms}
    if not find(tx, programme, [{"version": version}], ["version"]):
        tx.execute(programme.insert().values(row))
    no = next_no(tx, "programme")
    if told.certificates is not None:
        # From the first such programme on tills look after certificates; before, they ask nothing of them.
        put(tx, lane, [{"lane": "certificates", "no": 1}], "nothing")
    put(tx, release, [{"no": no, "version": version, "published_at_ms": now_ms, "published_by": by}])
    return Published(version=version, no=no)


def _check_fits(tx: Connection, told: Programme) -> None:
    currency = get_setting(tx, "currency", told.currency)
    if told.currency != currency:
        raise BadProgramme(f"The programme counts in {told.currency}, the coalition in {currency}; mend its currency.")
    known = set(tx.execute(select(partner.c.partner_id)).scalars())
    named = {one.funded_by for one in told.promotions if one.funded_by}
    named.update(name for one in told.promotions for name in one.where.partners)
    if known and (strange := sorted(named - known)):
        raise BadProgramme(f"The programme names {strange[0]}, which is no partner; load it first or mend the name.")


def _check_goes_down(document: bytes) -> None:
    if len(document) > MOST_BYTES:
        raise BadProgramme(
            f"The programme takes {len(document) // 1024} KiB, and a till can be sent {MOST_BYTES // 1024} KiB of it at"
            " most; name goods by category, brand or tag instead of one by one, or leave out offers that are over."
        )


def current_programme(connection: Connection) -> Programme | None:
    """The programme that tills are to use now; none before the first was published."""
    newest = _newest(connection)
    return compile_document(newest.document).programme if newest else None


def compiled(connection: Connection, versions: Iterable[str]) -> dict[str, Compiled]:
    """The programmes of these versions, ready to quote; a version that was never published is left out."""
    rows = find(connection, programme, [{"version": version} for version in sorted(set(versions))])
    return {row.version: compile_document(row.document) for row in rows}


@lru_cache(maxsize=64)
def compile_document(document: bytes) -> Compiled:
    """A programme from its canonical bytes, compiled once."""
    return compile_programme(read_programme(document))


def releases(connection: Connection) -> Sequence[Row[Any]]:
    """What was published when, newest first: no, version, published_at_ms, published_by."""
    return connection.execute(select(release).order_by(release.c.no.desc())).all()


def document_of(connection: Connection, version: str) -> bytes | None:
    """The canonical bytes of a version."""
    return connection.execute(select(programme.c.document).where(programme.c.version == version)).scalar()


_NEWEST = (
    select(release.c.no, release.c.version, programme.c.document)
    .join_from(release, programme)
    .order_by(release.c.no.desc())
    .limit(1)
)


def _newest(connection: Connection) -> Any:
    return ask_first(connection, _NEWEST)
