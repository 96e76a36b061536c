"""Head office as one service: its parts put together, started in order, stopped in the other order."""

import logging
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, redirect, request, url_for
from sqlalchemy import Engine

from central.arenas import GIVE_BACK_S, bound_arenas, give_back
from central.conformance.conformance import Conformance, is_scratch
from central.conformance.conformance_http import conformance_blueprint
from central.console.base import Console
from central.console.consent_pages import consent_pages
from central.console.console import console_pages
from central.corrections.correction_limits import limits_of
from central.keys.card_keys import ring_of
from central.keys.centre_keys import centre_signer, notices
from central.keys.people_keys import people_files
from central.login import Logins
from central.members.people import People
from central.migrations import upgrade
from central.ports import (
    Clock,
    Randomness,
    Settings,
    SystemClock,
    SystemRandomness,
    open_engine,
    reach,
    reading,
)
from central.streams.sealing import Sealer
from central.tills.store import SqlCentreStore
from central.tills.sync_http import reserved_places, sync_blueprint
from central.upkeep.chores import Chores
from central.upkeep.doctor import examine
from central.upkeep.house_lock import HouseLock
from central.upkeep.keeping_house import open_chores, open_sealer, open_store
from central.upkeep.metrics import metrics
from central.web_server import WebServer
from loyalty.trouble import Fault, Trouble
from sync.centre_session import CentreSession
from sync.envelope import MAX_BODY_BYTES

CONSOLE_THREADS = 8
_log = logging.getLogger(__name__)


class _App(Flask):
    """Logs what nobody foresaw by its kind and its place alone: its own words may quote what was written to the
    database, and the address of a page may be a customer's code."""

    def log_exception(self, exc_info: Any) -> None:
        kind, trouble, where = exc_info
        driver = getattr(trouble, "orig", None)
        said = f" ({getattr(driver, 'sqlite_errorname', type(driver).__name__)})" if driver else ""
        frames = "; ".join(f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(where))
        _log.error("%s %s: %s%s at %s", request.method, request.url_rule, kind.__name__, said, frames)


def central_app(
    settings: Settings,
    engine: Engine,
    *,
    store: SqlCentreStore | None = None,
    clock: Clock | None = None,
    randomness: Randomness | None = None,
) -> Flask:
    """Everything the centre answers: tills below /sync, the console, health, metrics.

    Args:
        engine: of a database that is at the newest schema.
        store: what the tills' sessions stand on; made from the settings where none is given.
    Raises:
        BadSettings: a key file holds something else than a key.
    """
    clock, randomness = clock or SystemClock(), randomness or SystemRandomness()
    store = store or open_store(settings, engine, randomness)
    signer = centre_signer(settings, engine, randomness)
    with reading(engine) as tx:
        session = CentreSession(signer, randomness.bytes, notices=notices(tx))
    logins = Logins(engine, clock, randomness)
    app = _App("central", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(sync_blueprint(session, store, clock, randomness, settings.workers))
    limits, ring = limits_of(settings), ring_of(settings, randomness)
    # Copies are made by the service's own sealer, so that a folder that fails stops no close.
    seal = Sealer(engine, signer, clock).seal
    console = Console(
        engine, clock, randomness, logins, settings.secure_cookies, limits, ring, seal,
        examine=lambda: examine(settings, engine, clock.wall_ms()),
        centre_public=signer.public,
        public_url=settings.public_url,
        people=People(*people_files(settings, randomness)),
    )  # fmt: skip
    app.register_blueprint(console_pages(console))
    app.register_blueprint(consent_pages(engine, clock, randomness, ring))

    if settings.conformance and is_scratch(engine):
        sealer = open_sealer(settings, engine, clock, randomness)
        app.register_blueprint(conformance_blueprint(Conformance(engine, sealer, clock, randomness)))
    elif settings.conformance:
        _log.error("`conformance` is set, but the database is not a scratch one: its routes do not exist")

    @app.get("/")
    def entrance() -> Any:
        return redirect(url_for("console.overview"))

    @app.get("/metrics")
    def figures() -> Any:
        with reading(engine) as tx:
            return Response(metrics(tx, settings.folder, clock.wall_ms()), content_type="text/plain; version=0.0.4")

    app.register_error_handler(Trouble, _explain)
    return app


class CentralService:
    """Head office with everything around it. Between `start` and `stop` it answers under `url`.

    With `chores` off in the settings it only answers, beside others that do and one `central worker` that keeps house.

    Args:
        port: instead of the settings'; 0 for any that is free.
    Raises:
        AlreadyRunning, PortTaken, BadSettings, DatabaseAway.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        port: int | None = None,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
    ) -> None:
        self.settings = settings
        self._closing: list[Callable[[], object]] = []
        try:
            self._open(port, clock or SystemClock(), randomness or SystemRandomness())
        except BaseException:
            self._close()
            raise

    def _open(self, port: int | None, clock: Clock, randomness: Randomness) -> None:
        settings = self.settings
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.engine = open_engine(settings.url, settings.sqlite_cache_mib)
        self._closing.append(self.engine.dispose)
        reach(self.engine)
        self.chores: Chores | None = None
        if settings.chores:
            lock = HouseLock(settings.folder, self.engine)
            self._closing.append(lock.close)
            lock.take()
        upgrade(self.engine)
        self.store = open_store(settings, self.engine, randomness)
        if settings.chores:
            self.chores = open_chores(settings, self.engine, self.store, clock, randomness)
        self.app = central_app(settings, self.engine, store=self.store, clock=clock, randomness=randomness)
        self._server = WebServer(
            self.app,
            host=settings.listen_host,
            port=settings.listen_port if port is None else port,
            # As many tills as the gate lets in, and people beside them.
            threads=2 * settings.workers + reserved_places(settings.workers) + CONSOLE_THREADS,
            trusted_proxy=settings.trusted_proxy,
        )
        self.url = self._server.url

    def start(self) -> None:
        """Answer first, then keep house."""
        self._server.start()
        if self.chores:
            self.chores.start()

    def stop(self) -> None:
        """Stop keeping house, answer what is under way, close the database."""
        if self.chores:
            self.chores.stop()
        self._server.stop()
        self._close()

    def _close(self) -> None:
        while self._closing:
            self._closing.pop()()


def run_central(settings: Settings, tell: Callable[[str], None] = print) -> None:
    """Run head office until SIGTERM or SIGINT. Raises: as `CentralService`."""
    bound_arenas()
    service = CentralService(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    service.start()
    tell(f"Head office answers on {service.url}, data in {settings.folder}")
    tell(f"  console      {service.url}/console/")
    tell(f"  tills        {settings.public_url or service.url}")
    tell(f"  health       {service.url}/healthz     figures in {service.url}/metrics")
    if not settings.chores:
        tell("  chores       none here; `tallypoint central worker` must run beside it")
    while not stopping.wait(GIVE_BACK_S):
        give_back()
    tell("Stopping: finishing what is under way.")
    service.stop()
    tell("Stopped. Tills keep what they could not send and send it at the next start.")


def _explain(trouble: Trouble) -> Any:
    if isinstance(trouble, Fault) or trouble.status >= 500:
        _log.error("%s %s: %s", request.method, request.url_rule, trouble.code)
    answer = jsonify(trouble.problem())
    answer.content_type = "application/problem+json"
    return answer, trouble.status
