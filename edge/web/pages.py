"""The pages of the till: customer display, self-checkout, cashier panel, and how one signs in at them.

A page is the same bytes for everybody; what it may ask besides is in `page_sessions`, what it says in `words`.
"""

from typing import Any

from flask import Flask, Response, redirect, render_template, request

from edge.api.page_bodies import HelpBody, HelpSaid, SessionSaid, SignInBody, TicketBody, TicketSaid
from edge.counter.at_hand import ChoiceBody
from edge.counter.desk import Desk
from edge.counter.recounting import recount
from edge.web.bodies import answer, choice_of, is_training, number_of, read, wanted
from edge.web.page_sessions import COOKIE, PageSessions, SignInWrong
from edge.web.words import LANGUAGES, teller

HELP_SAY = "A customer at the self-checkout asks for help."


def add_pages(app: Flask, desk: Desk, sessions: PageSessions) -> None:
    """The pages themselves, and what only they ask."""
    _pages(app, desk, sessions)
    _sessions(app, desk, sessions)
    _at_hand(app, desk)


def _pages(app: Flask, desk: Desk, sessions: PageSessions) -> None:
    @app.get("/customer")
    def get_customer() -> str:
        return _page("customer.html", desk)

    @app.get("/kiosk")
    def get_kiosk() -> Response:
        is_on = desk.settings.till_kind == "self-service" or not desk.settings.pos_token
        page = Response(_page("kiosk.html", desk, is_on=is_on))
        session = sessions.find(request.cookies.get(COOKIE))
        if is_on and (session is None or session.page != "kiosk"):
            _set_cookie(page, sessions.open("kiosk"))
        return page

    @app.get("/cashier")
    def get_cashier() -> Any:
        if ticket := request.args.get("ticket", ""):
            # The ticket leaves the address bar, so that nobody copies it out of there; it is used up anyway.
            onwards = redirect("/cashier", 303)
            if key := sessions.redeem(ticket):
                _set_cookie(onwards, key)
            return onwards
        session = sessions.find(request.cookies.get(COOKIE))
        who = session.who if session and session.page == "cashier" else ""
        return _page("cashier.html", desk, who=who, wants=sessions.wants)


def _sessions(app: Flask, desk: Desk, sessions: PageSessions) -> None:
    @app.post("/session")
    def post_session() -> Response:
        body = read(SignInBody)
        # Who signs in stands on receipts and in events: a card that was scanned there must not.
        if sessions.wants == "number" and desk.is_card(body.cashier):
            raise SignInWrong("That is the number of a card. Type your cashier number.")
        key = sessions.sign_in(body)
        said = answer(SessionSaid(page="cashier", cashier=body.cashier), 201)
        _set_cookie(said, key)
        return said

    @app.delete("/session")
    def delete_session() -> Response:
        sessions.close(request.cookies.get(COOKIE))
        said = answer(SessionSaid(page="", cashier=""))
        said.delete_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return said

    @app.post("/v1/page-tickets")
    def post_ticket() -> Response:
        return answer(TicketSaid(path=f"/cashier?ticket={sessions.ticket(read(TicketBody).cashier)}"), 201)


def _at_hand(app: Flask, desk: Desk) -> None:
    @app.get("/v1/at-hand")
    def get_at_hand() -> Response:
        return answer(desk.at_hand.now())

    @app.post("/v1/choices")
    def post_choice() -> Response:
        said = desk.at_hand.choose(read(ChoiceBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/choices")
    def get_choices() -> Response:
        return answer(desk.at_hand.chosen(number_of("after")))

    @app.get("/v1/returnable")
    def get_returnable() -> Response:
        return answer(recount(desk.at(is_training()).till, wanted("of")))

    @app.post("/v1/help")
    def post_help() -> Response:
        read(HelpBody)
        desk.screens.tell(HELP_SAY, "kiosk.help")
        return answer(HelpSaid(told=desk.screens.count()))


def _page(template: str, desk: Desk, **more: Any) -> str:
    language = choice_of("lang", LANGUAGES) or desk.settings.language
    return render_template(
        template,
        language=language,
        languages=LANGUAGES,
        theme=choice_of("theme", ("light", "dark")),
        text=choice_of("text", ("big",)),
        contrast=choice_of("contrast", ("more",)),
        programme=desk.programme_name(),
        till=desk.label,
        currency=desk.blank_screen().currency,
        w=teller(language),
        **more,
    )


def _set_cookie(said: Any, key: str) -> None:
    # Without `Secure`: the till speaks HTTP to its own machine alone.
    said.set_cookie(COOKIE, key, path="/", httponly=True, samesite="Strict")
