"""The routes for members, cards, consents and claims; see docs/members.md."""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Response

from edge.api.member_bodies import CardBody, ClaimBody, ConfirmBody, ConsentAskBody, EnrolBody, FindBody
from edge.members.consenting import not_by_cashier
from edge.members.desk import MembersDesk
from edge.web.bodies import answer, choice_of, is_training, read, wanted
from edge.web.words import LANGUAGES

WhereAsked = TypeVar("WhereAsked", EnrolBody, ConsentAskBody, ConfirmBody)


def add_members(app: Flask, members: MembersDesk, is_panel: Callable[[], bool]) -> None:
    """Add the routes to a till's application. Args: `is_panel`: whether the cashier panel asks."""

    def asked(kind: type[WhereAsked]) -> WhereAsked:
        """A body whose `asked_on` is not what the cashier would like it to be. Raises: ConsentNotByCashier."""
        body = read(kind)
        if body.asked_on != "cashier" and is_panel():
            raise not_by_cashier()
        return body

    @app.get("/v1/enrolment")
    def get_enrolment() -> Response:
        return answer(members.offers(choice_of("language", LANGUAGES) or None))

    @app.post("/v1/members")
    def post_member() -> Response:
        said = members.enrol(asked(EnrolBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/members/find")
    def post_find() -> Response:
        return answer(members.find(read(FindBody)))

    @app.post("/v1/cards")
    def post_card() -> Response:
        said = members.card(read(CardBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/consents")
    def post_consent() -> Response:
        said = members.consent(asked(ConsentAskBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/consents/confirm")
    def post_confirm() -> Response:
        said = members.confirm(asked(ConfirmBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/consents")
    def get_consents() -> Response:
        return answer(members.consents(wanted("card"), training=is_training()))

    @app.post("/v1/claims")
    def post_claim() -> Response:
        said = members.claim(read(ClaimBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/claims/<path:claim_id>")
    def get_claim(claim_id: str) -> Response:
        return answer(members.claim_again(claim_id, training=is_training()))
