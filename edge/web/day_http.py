"""The routes of the cashier's day; see docs/till-api.md "The cashier's day"."""

from datetime import date

from flask import Flask, Response

from edge.api.bodies import DayCloseBody, ExchangeBody, ExchangeVoidBody, ParkBody, ResumeBody, ReturnVoidBody
from edge.day.desk import DayDesk
from edge.web.bodies import BadQuery, answer, choice_of, is_training, read
from edge.web.words import LANGUAGES


def add_day(app: Flask, day: DayDesk) -> None:
    """Add the routes to a till's application."""

    @app.post("/v1/exchanges")
    def post_exchange() -> Response:
        said = day.exchange(read(ExchangeBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/exchanges/<path:exchange_id>")
    def get_exchange(exchange_id: str) -> Response:
        language = choice_of("language", LANGUAGES) or None
        return answer(day.exchange_again(exchange_id, language=language, training=is_training()))

    @app.post("/v1/exchanges/<path:exchange_id>/void")
    def post_exchange_void(exchange_id: str) -> Response:
        said = day.void_exchange(exchange_id, read(ExchangeVoidBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/returns/<path:return_id>/void")
    def post_return_void(return_id: str) -> Response:
        said = day.void_return(return_id, read(ReturnVoidBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/parked")
    def post_parked() -> Response:
        said = day.park(read(ParkBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/parked")
    def get_parked() -> Response:
        return answer(day.parked(training=is_training()))

    @app.post("/v1/parked/<path:park_id>/resume")
    def post_resume(park_id: str) -> Response:
        said = day.resume(park_id, read(ResumeBody))
        return answer(said, 200 if said.replayed else 201)

    @app.delete("/v1/parked/<path:park_id>")
    def delete_parked(park_id: str) -> Response:
        return answer(day.drop(park_id, training=is_training()))

    @app.get("/v1/training")
    def get_training() -> Response:
        return answer(day.training())

    @app.delete("/v1/training")
    def delete_training() -> Response:
        return answer(day.leave_training())

    @app.post("/v1/day-close")
    def post_day_close() -> Response:
        said = day.close_day(read(DayCloseBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/day-close/<business_date>")
    def get_day_close(business_date: str) -> Response:
        try:
            on = date.fromisoformat(business_date)
        except ValueError:
            raise BadQuery("Name the business date as 2026-03-05.") from None
        language = choice_of("language", LANGUAGES) or None
        return answer(day.closed_day(on, language=language, training=is_training()))
