"""The opt-in listener for the other tills of the store: two routes, signed messages, nothing of the POS.

It is a server of its own, so that what is open to the store's network is never the till's API.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from edge.line.sharing import Sharing
from edge.parking.over_lan import ParkedLan
from loyalty.trouble import Fault, Refusal
from sync.parked import PARKED_PATH
from sync.refusals import BadSignature
from sync.rights import MOST_BYTES, RIGHTS_PATH
from sync.wire import CONTENT_TYPE

THREADS = 2


def lan_app(
    sharing: Sharing, parked: ParkedLan | None = None, on_stranger: Callable[[], object] = lambda: None
) -> Flask:
    """The Flask application that peers ask. Whoever is no peer learns nothing but that, and `on_stranger` is called."""
    app = Flask("lan")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES

    @app.post(RIGHTS_PATH)
    def rights() -> Response:
        return _answered(sharing.answer, on_stranger)

    if parked is not None:

        @app.post(PARKED_PATH)
        def baskets() -> Response:
            return _answered(parked.answer, on_stranger)

    @app.errorhandler(404)
    @app.errorhandler(405)
    def nothing(_: Any) -> Response:
        return Response(status=404)

    return app


def _answered(answer: Callable[[bytes], bytes], on_stranger: Callable[[], object]) -> Response:
    try:
        return Response(answer(request.get_data(cache=False)), content_type=CONTENT_TYPE)
    except Refusal as refusal:
        if isinstance(refusal, BadSignature):
            on_stranger()
        return Response(refusal.code, 403, content_type="text/plain")
    except Fault as fault:
        return Response(fault.code, 503, content_type="text/plain")
