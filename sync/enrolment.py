"""How a till gets its identity: a one-time code, a proof of key, a signed and encrypted answer.

1. The centre opens a slot and shows its code and the fingerprint of its own key.
2. The till makes its keys itself and signs a claim with the code (`make_claim`).
3. The centre judges the claim (`judge_claim`), binds key and machine to the slot, answers (`grant_identity`).
4. The till checks that the key which signed is the one whose fingerprint it was given (`read_identity`).
5. People compare six digits on both screens (`comparison_code`).

Source: sync.md section 7. Codes are Crockford base32: 16 characters carry 80 bits.
"""

import hashlib

import msgspec

from loyalty.cards.card_keys import CardKeys
from loyalty.moments import DAY_MS
from sync.framing import check_signature, pack, read_json, sha256, split
from sync.keys import Signer, decrypt_from, encrypt_to, exchange_public
from sync.refusals import (
    BadBody,
    BadCode,
    BadEnvelope,
    CodeExpired,
    CodeUsed,
    NotOurAnswer,
    TooLarge,
    WrongCentre,
)
from sync.versions import OURS, Versions
from sync.wire import CLAIM_TAG, IDENTITY_TAG, Claim, Identity, IdentityHeader

CODE_BYTES = 10
CODE_TTL_MS = DAY_MS
MAX_CLAIM_BYTES = 8 * 1024

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A place kept for one till until `expires_ms`, and who took it. The code itself is not stored. `generation` is the
    centre's at present."""

    code_hash: str
    till_id: str
    epoch: int
    key_no: int
    genesis: str
    partner_id: str
    store_id: str
    label: str
    card_keys: CardKeys
    expires_ms: int
    used_by_key: str = ""
    used_by_install: str = ""
    generation: int = 0


def show_code(secret: bytes) -> str:
    """Ten random bytes as `XXXX-XXXX-XXXX-XXXX`, without the letters I, L, O and U."""
    number = int.from_bytes(secret, "big")
    letters = "".join(_ALPHABET[number >> shift & 31] for shift in range(8 * len(secret) - 5, -1, -5))
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def read_code(text: str) -> str:
    """A code as somebody typed it, in the form `show_code` gives: case, spaces, dashes, O, I and L forgiven.

    Raises:
        BadCode: not 16 characters of the alphabet.
    """
    letters = text.strip().upper().translate(_MISREAD)
    if len(letters) != 16 or any(letter not in _ALPHABET for letter in letters):
        raise BadCode("An enrolment code has 16 letters and digits in groups of four; check it and type it again.")
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def code_hash(code: str) -> str:
    """What the centre stores of a code. 80 random bits need no salt and no slow hash.

    Raises:
        BadCode: not a code.
    """
    return hashlib.sha256(b"TP-CODE1\0" + read_code(code).encode("ascii")).hexdigest()


def fingerprint(public: str) -> str:
    """Eighty bits of the SHA-256 of a public key, in the form of a code."""
    return show_code(hashlib.sha256(b"TP-FPR1\0" + bytes.fromhex(public)).digest()[:CODE_BYTES])


def comparison_code(till_public: str, centre_public: str) -> str:
    """Six digits that both screens show; different digits mean that somebody stands between them."""
    digest = hashlib.sha256(b"TP-SAME1\0" + bytes.fromhex(till_public) + bytes.fromhex(centre_public)).digest()
    digits = f"{int.from_bytes(digest[:8], 'big') % 1_000_000:06d}"
    return f"{digits[:3]} {digits[3:]}"


def make_claim(
    code: str, signer: Signer, exchange_private: bytes, *, install_id: str, version: str, at_ms: int
) -> bytes:
    """The request that claims a slot; keep it and `exchange_private` until the identity is read.

    Raises:
        BadCode: not a code.
    """
    claim = Claim(
        code=read_code(code),
        public_key=signer.public,
        exchange_key=exchange_public(exchange_private),
        install_id=install_id,
        version=version,
        at_ms=at_ms,
    )
    return pack(CLAIM_TAG, claim, signer)


def open_claim(data: bytes, versions: Versions = OURS) -> Claim:
    """A claim whose sender holds the private half of the key it asks for.

    Raises:
        TooLarge, BadEnvelope, UnknownProto, TillTooOld, BadSignature.
    """
    if len(data) > MAX_CLAIM_BYTES:
        raise TooLarge("A claim must stay below 8 KiB.", bytes=len(data))
    parts = split(data)
    claim = versions.read(parts, Claim)
    check_signature(CLAIM_TAG, parts, claim.public_key)
    if parts.body:
        raise BadEnvelope("A claim has nothing behind its signature.")
    return claim


def judge_claim(slot: Slot | None, claim: Claim, now_ms: int) -> Slot:
    """The slot this claim may take. The same key and machine again get the same answer: theirs was lost.

    Raises:
        BadCode: no such slot.
        CodeUsed: another key or machine holds it; raise an alarm.
        CodeExpired: nobody took it in time.
    """
    if slot is None:
        raise BadCode("This enrolment code is not known; check it or ask head office for a new one.")
    if slot.used_by_key:
        if (slot.used_by_key, slot.used_by_install) != (claim.public_key, claim.install_id):
            raise CodeUsed(
                "This enrolment code was used by another machine. Stop, and tell head office at once.",
                till_id=slot.till_id,
            )
        return slot
    if now_ms >= slot.expires_ms:
        raise CodeExpired("This enrolment code has lapsed; ask head office for a new one.", till_id=slot.till_id)
    return slot


def grant_identity(
    slot: Slot, claim: Claim, *, answers: str, now_ms: int, signer: Signer, exchange_private: bytes, paper: bytes = b""
) -> bytes:
    """The signed answer to a claim, its secrets encrypted to the till that claimed.

    Args:
        answers: SHA-256 of the claim's bytes.
        signer: the centre's.
        exchange_private: 32 random bytes, used for this answer only.
        paper: for the till to keep; see `sync.papers`.
    Raises:
        BadBody: the claim's exchange key is unusable.
    """
    identity = Identity(
        till_id=slot.till_id,
        epoch=slot.epoch,
        key_no=slot.key_no,
        genesis=slot.genesis,
        partner_id=slot.partner_id,
        store_id=slot.store_id,
        label=slot.label,
        centre_public_key=signer.public,
        centre_key_no=signer.key_no,
        card_key=slot.card_keys.first.hex(),
        card_key_id=slot.card_keys.keys[0].key_id,
        server_at_ms=now_ms,
        card_keys=None if slot.card_keys.is_unchanged else slot.card_keys,
        paper=paper,
    )
    info = IDENTITY_TAG + bytes.fromhex(answers)
    body = encrypt_to(claim.exchange_key, exchange_private, info, msgspec.json.encode(identity))
    header = IdentityHeader(
        key_no=signer.key_no,
        answers=answers,
        server_at_ms=now_ms,
        centre_public_key=signer.public,
        exchange_key=exchange_public(exchange_private),
        body_sha256=sha256(body),
    )
    return pack(IDENTITY_TAG, header, signer, body)


def read_identity(data: bytes, request: bytes, exchange_private: bytes, centre_fingerprint: str) -> Identity:
    """Who we are, once the answer proved to come from the centre whose fingerprint we were given.

    Args:
        data: the answer.
        request: what `make_claim` made.
        centre_fingerprint: as shown with the code, however it was typed.
    Raises:
        BadEnvelope, WrongCentre, BadSignature, NotOurAnswer, BadBody.
    """
    parts = split(data)
    header = read_json(parts, IdentityHeader)
    if fingerprint(header.centre_public_key) != read_code(centre_fingerprint):
        raise WrongCentre("The centre that answered is not the one that gave the code; check the address.")
    check_signature(IDENTITY_TAG, parts, header.centre_public_key)
    if header.answers != sha256(request):
        raise NotOurAnswer("This identity answers another claim; claim again.")
    if header.body_sha256 != sha256(parts.body):
        raise BadBody("The answer was changed on the way; claim again.")
    info = IDENTITY_TAG + bytes.fromhex(header.answers)
    plain = decrypt_from(header.exchange_key, exchange_private, info, parts.body)
    try:
        identity = msgspec.json.decode(plain, type=Identity)
    except msgspec.DecodeError as trouble:
        raise BadBody(f"The answer is not an identity: {trouble}") from None
    if identity.centre_public_key != header.centre_public_key:
        raise WrongCentre("The identity names another key of the centre than the one that signed it.")
    return identity
