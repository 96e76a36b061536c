"""A till's export file, taken through the intake that its line would have led to, with the same answers.

Source: sync.md section 7: "exported to a signed file central can import".
"""

import msgspec

from sync.centre_session import CentreSession
from sync.desk import DeskAsk
from sync.exports import CarriedPerson, ExportHeader, TakenPerson, open_export, seal_answers
from sync.keys import Signer
from sync.ports import CentreStore
from sync.refusals import UnknownTill
from sync.wire import SALVAGE_PATH


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Whose file it was, how many of its batches are in the books (now, or since before), how many are kept apart or
    were refused, how many new members' data was kept, how many wait for their event or their key, and the file of
    answers for the till."""

    header: ExportHeader
    taken: int
    apart: int
    people: int
    people_wait: int
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

    file = open_export(data, key_of)
    header = file.header
    # This path knows both, batches of the present epoch and of those that are over.
    answers = [session.answer(now_ms, SALVAGE_PATH, batch, store) for batch in file.batches]
    # After the events that they belong to. What is not theirs, or of an event that is kept apart, is not kept.
    people = [_take_person(header, one, store, now_ms) for one in file.people]
    taken, kept = sum(one.status == 200 for one in answers), sum(one.took and not one.refused for one in people)
    return Imported(
        header=header,
        taken=taken,
        apart=len(answers) - taken,
        people=kept,
        people_wait=sum(not one.took for one in people),
        answers=seal_answers(
            data, answers, now_ms=now_ms, signer=signer, till_id=header.till_id if people else "", people=people
        ),
    )


def _take_person(header: ExportHeader, one: CarriedPerson, store: CentreStore, now_ms: int) -> TakenPerson:
    ask = DeskAsk(
        till_id=header.till_id, epoch=header.epoch, key_no=header.key_no, counter=0, sent_at_ms=header.made_at_ms,
        what="sealed", about=one.about, sealed=one.sealed,
    )  # fmt: skip
    told = store.take_desk_ask(ask, now_ms)
    return TakenPerson(about=one.about, took=told.took, refused=told.refused)
