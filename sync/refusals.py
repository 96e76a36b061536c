"""Everything the sync protocol can refuse, with stable codes and the status each is answered under."""

from loyalty.trouble import Fault, Refusal


class BadEnvelope(Refusal):
    """The bytes are not a signed message of the expected kind."""

    code = "sync.bad_envelope"
    status = 400


class BadSignature(Refusal):
    """The signature does not hold for the key that is named."""

    code = "sync.bad_signature"
    status = 401


class TooLarge(Refusal):
    """More events or bytes than the limits allow; send a smaller batch."""

    code = "sync.too_large"
    status = 413


class BadBody(Refusal):
    """The body is not what the signed header says: hash, length, compression or number of lines."""

    code = "sync.bad_body"
    status = 400


class BadChain(Refusal):
    """The payloads do not lead from `prev_hash` to `head_hash`."""

    code = "sync.bad_chain"
    status = 400


class UnknownProto(Refusal):
    """The till is newer than the centre, which is upgraded first."""

    code = "sync.unknown_proto"
    status = 426


class TillTooOld(Refusal):
    """Uploads of this till are taken, but it hears nothing more until it is updated."""

    code = "sync.till_too_old"
    status = 426


class UnknownPath(Refusal):
    code = "sync.unknown_path"
    status = 404


class UnknownTill(Refusal):
    code = "sync.unknown_till"
    status = 401


class Replayed(Refusal):
    """The counter is not above the last one seen; `need` is that one."""

    code = "sync.replayed"
    status = 409


class GapFound(Refusal):
    """Events are missing before this batch; `need` is the first of them."""

    code = "sync.gap"
    status = 409


class ForkFound(Refusal):
    """Two histories under one till and epoch; a person decides."""

    code = "sync.fork"
    status = 409


class RewindFound(Refusal):
    """The till lost events that it had announced; `need` is the highest sequence the centre knows of."""

    code = "sync.rewind"
    status = 409


class CloneSuspected(Refusal):
    """Two machines under one identity; both enrol again."""

    code = "sync.clone"
    status = 409


class OldEpoch(Refusal):
    code = "sync.old_epoch"
    status = 409


class UnknownEpoch(Refusal):
    code = "sync.unknown_epoch"
    status = 409


class Suspended(Refusal):
    code = "sync.suspended"
    status = 409


class Revoked(Refusal):
    code = "sync.revoked"
    status = 403


class TillLeft(Refusal):
    """The till gave its place back; whoever still speaks for it has a copy of its disk."""

    code = "sync.left"
    status = 409


class KeyRetired(Refusal):
    """The till's key was replaced by a newer one, or revoked; what it signs is kept aside."""

    code = "sync.key_retired"
    status = 403


class KeyRefused(Refusal):
    """A new key that does not prove itself, or whose number stands for another one."""

    code = "sync.key_refused"
    status = 409


class StreamMoved(Fault):
    """Another request advanced the stream first; the same batch may be judged again."""

    code = "sync.busy"


class NotOurAnswer(Refusal):
    """A well signed answer to something else: another request, till, stream or history."""

    code = "sync.not_our_answer"
    status = 502


class PageRefused(Refusal):
    """A page that does not follow on what this till has; an older version is a rollback."""

    code = "sync.page_refused"
    status = 502


class HelloFirst(Refusal):
    """Head office was restored since the last hello: members are taken once it has this till's events again."""

    code = "sync.hello_first"
    status = 502


class MustSnapshot(Refusal):
    """A lane cannot go on from where this till stands: it begins anew from chunks."""

    code = "sync.must_snapshot"
    status = 410


class UnknownChunk(Refusal):
    """The chunk was replaced meanwhile; another manifest names its successor."""

    code = "sync.unknown_chunk"
    status = 404


class BadCode(Refusal):
    code = "enrolment.bad_code"
    status = 404


class CodeExpired(Refusal):
    code = "enrolment.code_expired"
    status = 410


class CodeUsed(Refusal):
    """The code already served another machine: an alarm, for one of the two is not ours."""

    code = "enrolment.code_used"
    status = 409


class WrongCentre(Refusal):
    """The key that answered is not the one whose fingerprint came with the code."""

    code = "enrolment.wrong_centre"
    status = 502
