"""An event in quarantine posted under a head that people corrected: asked by one, approved by another.

It becomes a fact of the centre's own stream that names the event and carries reason and both people; the event itself
stays as it came. Goods that come back name the event itself and find the sale all the same, by its place and its id;
what waited for it is posted with it. Source: sync.md section 8; house.md idea 5.
"""

import msgspec
from sqlalchemy import Connection, select

from central.corrections.adjusting import Signed
from central.corrections.wishes import BadWish, FixWish, NotThere
from central.database.rows import find, put
from central.database.tables import account, claim, event
from central.intake.quarantine import AlreadyDecided, ItemKey, check_open, note_outcome
from central.ports import Randomness
from central.posting.account_facts import CORRECTIONS, AccountFacts
from central.posting.fixed_receipts import fixed_receipts, fixed_returns, names_of, returns_named
from central.posting.member_facts import note_reversals
from central.posting.posting import stored_heads
from central.posting.recorded import RECEIPT
from central.posting.returned import RETURN
from central.streams.heads import Unfit, read_fit_head
from loyalty.facts.events import encode
from loyalty.facts.fixed import Fixable, Fixed
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, receipt_named, return_named
from loyalty.lots import EventRef
from loyalty.trouble import BadInput, InvariantBroken

_HEADS: msgspec.json.Decoder[Fixable] = msgspec.json.Decoder(Fixable)


def read_fact(text: str | bytes) -> Fixable:
    """A corrected head as somebody wrote it, or as the till sent it.

    Raises:
        BadWish: no sale, return, void or void of a return, or one that may not be posted either.
    """
    try:
        fact = _HEADS.decode(text)
        bad = read_fit_head(encode(fact))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvariantBroken, BadInput) as trouble:
        raise BadWish(f"This is no sale, return or void of either that can be read: {trouble}", field="fact") from None
    if isinstance(bad, Unfit):
        raise BadWish(f"It cannot be posted like this: {bad.say}", field="fact")
    return fact


def key_of_fix(wish: FixWish) -> ItemKey:
    """The item that a wish is about."""
    return ItemKey(till_id=wish.till_id, epoch=wish.epoch, seq=wish.seq, sha256=wish.sha256)


def check_fix(connection: Connection, wish: FixWish) -> int:
    """Refuse what cannot be posted; the points it is about.

    Raises:
        UnknownItem, AlreadyDecided. BadWish: the head, its id, or what it names. NotThere: its receipt or its return is
            not here.
    """
    key = key_of_fix(wish)
    if not key.seq:
        raise BadWish("Name one event of the upload: its hash, a slash, and its number.", field="item")
    shown = check_open(connection, key)
    fact = read_fact(msgspec.json.encode(wish.fact))
    for row in find(connection, claim, [{"till_id": key.till_id, "receipt_id": fact.receipt_id}]):
        if (row.epoch, row.seq) != (key.epoch, key.seq) or key.sha256:
            owner = f"event {row.seq} of epoch {row.epoch}"
            raise BadWish(f"Its id belongs to {owner}. Give it the id it should have, or write it off.", field="fact")
    if shown.item.reads == "posted":
        raise AlreadyDecided("This very event is in the books by now, so another one would be booked twice.")
    if fact.account_id is not None and not find(connection, account, [{"account_id": fact.account_id}]):
        raise BadWish(f"There is no account {fact.account_id}; name the one it is for.", field="fact")
    if not isinstance(fact, Receipt) and fact.of is not None:
        here = event.c.till_id == fact.of.till_id, event.c.epoch == fact.of.epoch, event.c.seq == fact.of.seq
        named = select(event.c.receipt_id).where(*here, event.c.kind == RECEIPT, event.c.state == "posted")
        there = connection.execute(named).scalar()
        is_there = there is not None and receipt_named(fact) in ("", there)
        if not is_there and not fixed_receipts(connection, names_of([fact])):
            raise NotThere("The receipt that it takes back is not in the books. Leave it out, or wait for it.")
    if isinstance(fact, ReturnVoid):
        _check_undoing(connection, key, fact)
    return points_of(fact)


def fix(tx: Connection, wish: FixWish, signed: Signed, randomness: Randomness) -> None:
    """Write it. Raises: as `check_fix`."""
    key = key_of_fix(wish)
    facts = AccountFacts(tx, CORRECTIONS, signed.now_ms, randomness)
    check_fix(tx, wish)
    name = f"fix:{signed.correction_id}"
    own = {"till_id": key.till_id, "receipt_id": wish.fact.receipt_id, "epoch": key.epoch, "seq": key.seq}
    put(tx, claim, [own], "nothing")
    facts.post(
        [
            Fixed(
                receipt_id=name,
                of=key.ref,
                kept=key.sha256,
                fact=wish.fact,
                reason=wish.reason,
                note=wish.note,
                asked_by=signed.asked_by,
                approved_by=signed.approved_by,
            )
        ]
    )
    note_reversals(tx, [wish.fact])
    note = wish.note or wish.reason
    note_outcome(tx, key, "fixed", note=note, by=signed.approved_by, now_ms=signed.now_ms, fact_id=name)


def _check_undoing(connection: Connection, key: ItemKey, void: ReturnVoid) -> None:
    """A return is undone once, by the till that made it, and only what is in the books can be undone."""
    if void.undoes.till_id != key.till_id:
        raise BadWish("A return is voided by the till that took the goods back; name one of its own.", field="fact")
    names = returns_named([void])
    here = event.c.till_id == void.undoes.till_id, event.c.epoch == void.undoes.epoch, event.c.seq == void.undoes.seq
    stands = select(event.c.receipt_id).where(*here, event.c.kind == RETURN, event.c.state == "posted")
    stood = {connection.execute(stands).scalar()} | {
        one.fact.receipt_id for one in fixed_returns(connection, names).values()
    }
    if return_named(void) not in stood:
        raise NotThere(
            "The return that it undoes is not in the books: post that first. The id of its void is void: and its own."
        )
    # Under another till's name it may be undone too, which is flagged and stands.
    same = find(connection, event, [{"receipt_id": void.receipt_id}], ["till_id", "epoch", "seq"],
                event.c.state.in_(("posted", "waiting")))  # fmt: skip
    others = stored_heads(connection, [EventRef(**row._mapping) for row in same]).values()
    if any(isinstance(one, ReturnVoid) and one.undoes == void.undoes for one in others):
        raise BadWish("This return is voided already; write this one off.", field="fact")


def points_of(fact: Fixable) -> int:
    """What it grants, spends and takes back."""
    if isinstance(fact, Receipt):
        spent = fact.redemption.points if fact.redemption else 0
        return sum(part.points for part in fact.earned) + spent
    if isinstance(fact, Return):
        return sum(part.points for part in (*fact.earned, *fact.reversed)) + fact.restored_points
    if isinstance(fact, ReturnVoid):
        return sum(part.points for part in (*fact.earned, *fact.reversed)) + fact.spent_points
    return 0
