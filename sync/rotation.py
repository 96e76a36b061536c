"""A new key for a till or for the centre, vouched for by the key that it replaces; neither side is ever without one.

A till makes its new key, keeps it, and asks the centre to take it: the request is signed by the old key and carries a
proof by the new one. From the answer on the till signs with it; the old one stands only for what it had signed up to
`rotation_seq`. When the answer is lost the same request brings the same answer. The centre's new key is told in notices
that both of its keys signed, so a till that was away may follow any number of them. Source: sync.md section 7.
"""

from collections.abc import Iterable
from typing import Annotated, Protocol

import msgspec

from loyalty.cards.card_keys import CardKeys
from sync.chain import Hex64, Seq
from sync.framing import check_signature, pack, read_json, sha256, split
from sync.keys import PublicKey, PublicKeys, Signer, verify
from sync.refusals import BadEnvelope, NotOurAnswer
from sync.wire import CentreMessage, Count, TillMessage

NEW_KEY_PATH = "/sync/v1/keys"
CENTRE_KEYS_PATH = "/sync/v1/centre-keys"
NEW_KEY_TAG = b"TP-NEWKEY1\0"
NEW_KEY_PROOF_TAG = b"TP-NEWKEYPROOF1\0"
KEY_TAKEN_TAG = b"TP-KEYTAKEN1\0"
KEYS_ASK_TAG = b"TP-KEYSASK1\0"
KEYS_TOLD_TAG = b"TP-KEYS1\0"
NOTICE_TAG = b"TP-CENTREKEY1\0"
ROTATED = 2**32  # an enrolment's key has the number of its epoch; each rotation adds this much

Signature = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]


class NewKey(TillMessage, frozen=True, kw_only=True):
    """Please take this key for mine: signed by the old one, `proof` by the new; the old stands up to `rotation_seq`."""

    new_key_no: Count
    new_public: Hex64
    rotation_seq: Seq
    proof: Signature


class KeyTaken(CentreMessage, frozen=True, kw_only=True):
    """The key is the till's from now on; what the old one signed counts up to `rotation_seq`."""

    new_key_no: Count
    rotation_seq: Seq


class KeysAsk(TillMessage, frozen=True, kw_only=True):
    """An answer was signed by a key I do not know: please tell what replaced `known_no`."""

    known_no: Count


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A new key of the centre: both keys signed the rest of it. No answer is signed by the old one after
    `old_until_ms`; what it signed before (grants, blocks) goes on to count."""

    key_no: Count
    public: Hex64
    replaces_no: Count
    replaces_public: Hex64
    made_at_ms: int
    old_until_ms: int
    by_old: str = ""
    by_new: str = ""


class KeysTold(CentreMessage, frozen=True, kw_only=True):
    """Every notice after the key that was named, in order; signed by the newest key."""

    notices: Annotated[tuple[Notice, ...], msgspec.Meta(max_length=100)]


class TillKeys(Protocol):
    """What a till keeps of keys beside its journal; each call is durable when it returns."""

    def next_signer(self) -> Signer | None:
        """A new key of the till's own that the centre has not taken yet."""

    def previous_signer(self) -> Signer | None:
        """The key before the present one, to vouch for it again to a centre that was restored; none after enrolment."""

    def make_next(self) -> None:
        """Make a new key, unless one waits to be taken."""

    def taken(self) -> Signer:
        """The centre took the new key: from now on it is ours."""

    def learned(self, keys: PublicKeys) -> None:
        """The centre's keys, with the newer ones that it told of."""

    def card_keys(self) -> CardKeys:
        """The programme's card keys that the till holds."""

    def take_card_keys(self, keys: CardKeys) -> None:
        """The programme's card keys from now on."""


def next_key_no(key_no: int) -> int:
    """The number of the key that follows on one; no enrolment ever gives it out."""
    return key_no + ROTATED


def prove(new: Signer, *, till_id: str, epoch: int, old_key_no: int) -> str:
    """What the new key signs: for whom it is, and which key it replaces."""
    return new.sign(NEW_KEY_PROOF_TAG + _for_whom(till_id, epoch, old_key_no, new.key_no, new.public)).hex()


def proof_holds(said: NewKey) -> bool:
    """Whether the holder of the new key agrees."""
    about = _for_whom(said.till_id, said.epoch, said.key_no, said.new_key_no, said.new_public)
    return verify(said.new_public, bytes.fromhex(said.proof), NEW_KEY_PROOF_TAG + about)


def make_notice(old: Signer, new: Signer, *, made_at_ms: int, old_until_ms: int) -> Notice:
    """A notice that both keys of the centre signed."""
    bare = Notice(
        key_no=new.key_no,
        public=new.public,
        replaces_no=old.key_no,
        replaces_public=old.public,
        made_at_ms=made_at_ms,
        old_until_ms=old_until_ms,
    )
    about = NOTICE_TAG + msgspec.json.encode(bare)
    return msgspec.structs.replace(bare, by_old=old.sign(about).hex(), by_new=new.sign(about).hex())


def notice_holds(said: Notice) -> bool:
    """Whether both keys signed it."""
    about = NOTICE_TAG + msgspec.json.encode(msgspec.structs.replace(said, by_old="", by_new=""))
    return _signed(said.replaces_public, said.by_old, about) and _signed(said.public, said.by_new, about)


def follow(keys: PublicKeys, notices: Iterable[Notice]) -> PublicKeys:
    """The centre's keys as far as notices lead on from those that are known; each may be told again.

    Raises:
        NotOurAnswer: one does not follow, or is not signed by both of its keys.
    """
    for said in notices:
        known = keys.find(said.key_no)
        if known == said.public:
            continue
        newest = max(keys.keys, key=lambda key: key.key_no)
        follows = (newest.key_no, newest.public) == (said.replaces_no, said.replaces_public)
        if known is not None or not follows or said.key_no != said.replaces_no + 1 or not notice_holds(said):
            raise NotOurAnswer("A key was told that the keys of head office do not vouch for.", key_no=said.key_no)
        until = msgspec.structs.replace(newest, until_ms=said.old_until_ms)
        others = tuple(key for key in keys.keys if key is not newest)
        keys = PublicKeys(keys=(*others, until, PublicKey(key_no=said.key_no, public=said.public)))
    return keys


def trusted_back(current: PublicKey, notices: Iterable[Notice]) -> PublicKeys:
    """The present key and those before it, as far as notices lead back from it: what the present key vouches for.

    Whoever can write notices but holds none of the keys can add none.
    """
    by_new = {said.key_no: said for said in notices if notice_holds(said)}
    keys = [current]
    while (said := by_new.get(keys[-1].key_no)) and said.public == keys[-1].public:
        if said.replaces_no >= said.key_no:
            break
        keys.append(PublicKey(key_no=said.replaces_no, public=said.replaces_public, until_ms=said.old_until_ms))
    return PublicKeys(keys=tuple(keys))


def open_keys(body: bytes, request: bytes, keys: PublicKeys) -> tuple[KeysTold, PublicKeys]:
    """What the centre told of its keys, and all keys with those: the notices vouch for the key that signed.

    Raises:
        BadEnvelope, NotOurAnswer, BadSignature.
    """
    parts = split(body)
    told = read_json(parts, KeysTold)
    if parts.body:
        raise BadEnvelope("This message has nothing behind its signature.")
    if told.answers != sha256(request):
        raise NotOurAnswer("This answers another request.")
    followed = follow(keys, told.notices)
    check_signature(KEYS_TOLD_TAG, parts, followed.find(told.key_no))
    return told, followed


def pack_keys(told: KeysTold, signer: Signer) -> bytes:
    """The answer as bytes."""
    return pack(KEYS_TOLD_TAG, told, signer)


def newest_no(keys: PublicKeys) -> int:
    """The number of the newest key."""
    return max(key.key_no for key in keys.keys)


def _for_whom(till_id: str, epoch: int, old_key_no: int, new_key_no: int, public: str) -> bytes:
    numbers = epoch.to_bytes(4, "big") + old_key_no.to_bytes(8, "big") + new_key_no.to_bytes(8, "big")
    return bytes.fromhex(till_id) + numbers + bytes.fromhex(public)


def _signed(public: str, signature: str, about: bytes) -> bool:
    try:
        return verify(public, bytes.fromhex(signature), about)
    except ValueError:
        return False
