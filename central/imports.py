"""A till's export file, taken through the intake that its line would have led to, with the same answers.

Source: sync.md section 7: "exported to a signed file central can import".
"""

import msgspec

from sync.centre_session import CentreSession
from sync.exports import ExportHeader, open_export, seal_answers
from sync.keys import Signer
from sync.ports import CentreStore
from sync.refusals import UnknownTill
from sync.wire import SALVAGE_PATH


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Whose file it was, how many of its batches are in the books (now, or since before), how many are kept apart or
    were refused, and the file of answers for the till."""

    header: ExportHeader
    taken: int
    apart: int
    answers: bytes


def import_file(data: bytes, *, session: CentreSession, store: CentreStore, signer: Signer, now_ms: int) -> Imported:
    """Take each batch of a file in its turn; the same file again posts nothing and says the same.

    Raises:
        BadEnvelope, UnknownProto, UnknownTill, BadSignature, BadBody: nothing of it was taken.
    """

    def key_of(till_id: str, key_no: int) -> str | None:
        till = store.till(till_id)
        if till is None:
            raise UnknownTill("The till that wrote this file is not enrolled here.", till_id=till_id)
        return till.keys.find(key_no)

    header, batches = open_export(data, key_of)
    # This path knows both, batches of the present epoch and of those that are over.
    answers = [session.answer(now_ms, SALVAGE_PATH, batch, store) for batch in batches]
    taken = sum(one.status == 200 for one in answers)
    return Imported(
        header=header,
        taken=taken,
        apart=len(answers) - taken,
        answers=seal_answers(data, answers, now_ms=now_ms, signer=signer),
    )
