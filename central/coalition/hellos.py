"""What tills say of themselves with each hello, and what head office reads out of it."""

from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, select, update

from central.coalition.streams import GOING_ON, at, raised
from central.database.asking import ask, ask_one, tell
from central.database.tables import stream, till, till_key
from loyalty.cards.card_keys import FIRST_KEY
from sync.wire import Hello, Peer


def _beside() -> Any:
    """The other tills of a till's store that may upload, with the keys that they sign by."""
    own = select(till.c.store_id).where(till.c.till_id == bindparam("till_id")).scalar_subquery()
    here = (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch)
    key = (till_key.c.till_id == till.c.till_id) & (till_key.c.epoch == till.c.epoch)
    others = select(
        till.c.till_id, till.c.label, till.c.epoch, till_key.c.key_no, till_key.c.public, stream.c.about
    ).select_from(till.join(stream, here).join(till_key, key))
    chosen = others.where(till.c.store_id == own, till.c.till_id != bindparam("till_id"), stream.c.state == "active",
                          till_key.c.state == "active")  # fmt: skip
    return chosen.order_by(till.c.till_id, till_key.c.key_no)


_BESIDE = _beside()


def peers_of(connection: Connection, till_id: str) -> tuple[Peer, ...]:
    """The other tills of a till's store that listen on its LAN and may upload, as they last said."""
    peers = []
    for row in ask(connection, _BESIDE, {"till_id": till_id}):
        address = msgspec.json.decode(row.about, type=dict[str, Any]).get("lan", "")
        if address:
            key = {"epoch": row.epoch, "key_no": row.key_no, "public": row.public}
            peers.append(Peer(till_id=row.till_id, **key, address=address, label=row.label))
    return tuple(peers)


_ABOUT = select(stream.c.about).where(at(bindparam("till"), bindparam("in_epoch")))


def held_by(connection: Connection, till_id: str, epoch: int) -> tuple[str, ...]:
    """The ids of the card keys in force that a till said it holds; the first for one that says nothing of keys."""
    about = ask_one(connection, _ABOUT, {"till": till_id, "in_epoch": epoch})
    return held_in(about or "{}")


def held_in(about: str) -> tuple[str, ...]:
    """The same, of what its last hello said."""
    return card_keys_in(msgspec.json.decode(about, type=dict[str, Any]))


def card_keys_in(said: dict[str, Any]) -> tuple[str, ...]:
    """The same, read already."""
    return tuple(said.get("card_keys") or (FIRST_KEY,))


def said_by_tills(connection: Connection) -> list[tuple[str, dict[str, Any]]]:
    """Of each till that may upload, its label and what its last hello said of itself, by label."""
    present = (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch)
    chosen = select(till.c.label, stream.c.about).join_from(till, stream, present)
    rows = connection.execute(chosen.where(stream.c.state.in_(GOING_ON)).order_by(till.c.label))
    return [(row.label, msgspec.json.decode(row.about, type=dict[str, Any])) for row in rows]


_GREETED = (
    update(stream)
    .where(at(bindparam("till"), bindparam("in_epoch")))
    .values(
        announced_seq=raised(stream.c.announced_seq, bindparam("announced")),
        heard_at_ms=bindparam("now_ms"),
        backlog=bindparam("behind"),
        level_at_ms=case((stream.c.seq >= bindparam("announced"), bindparam("now_ms")), else_=stream.c.level_at_ms),
        about=bindparam("said"),
    )
)


def note_hello(tx: Connection, hello: Hello, now_ms: int) -> None:
    """What a till says of itself."""
    about = {"version": hello.version, "boot": hello.boot, "cursors": hello.cursors, "suspended": hello.suspended,
             "lan": hello.lan, "card_keys": hello.card_keys, "sealing_key": hello.sealing_key,
             "oldest_unsent_s": hello.oldest_unsent_s, "disk_free_mb": hello.disk_free_mb}  # fmt: skip
    told = {"announced": hello.head_seq, "now_ms": now_ms, "behind": hello.backlog,
            "said": msgspec.json.encode(about).decode()}  # fmt: skip
    tell(tx, _GREETED, {"till": hello.till_id, "in_epoch": hello.epoch, **told})
