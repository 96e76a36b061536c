"""The four routes of a test build. Bytes in, JSON out; what cannot be read is a problem, what may not be an answer."""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from central.conformance.conformance import Conformance
from central.posting.transfers import TransferAsk
from loyalty.trouble import BadInput

PREFIX = "/_lck"


class BadAsk(BadInput):
    code = "conformance.malformed"


def conformance_blueprint(kit: Conformance) -> Blueprint:
    """Routes over one scratch database."""
    routes = Blueprint("conformance", __name__, url_prefix=PREFIX)

    @routes.post("/reset")
    def reset() -> Any:
        kit.reset()
        return _json({})

    @routes.post("/post")
    def post() -> Any:
        try:
            ask = msgspec.json.decode(request.get_data(cache=False), type=TransferAsk)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as trouble:
            raise BadAsk(f"This is no transfer: {trouble}") from None
        return _json(kit.post(ask))

    @routes.get("/balance")
    def balance() -> Any:
        account, currency = request.args.get("account", ""), request.args.get("currency", "")
        if not account or not currency:
            raise BadAsk("A balance is asked for by `account` and `currency`.")
        return _json({"subunits": kit.balance(account, currency)})

    @routes.get("/journal")
    def journal() -> Any:
        return _json(kit.journal())

    return routes


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), content_type="application/json")
