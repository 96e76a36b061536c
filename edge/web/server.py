"""waitress, behind an interface of ours: bind, serve on a thread, drain, stop. Nothing else names it."""

import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from edge.web.crew import Crew
from loyalty.trouble import Fault

DRAIN_S = 3.0
# How long a thread that works out a quote may keep the interpreter from one that comes back from the disk. A sale asks
# for it a dozen times while it holds the journal; Python's own 5 ms would each time be longer than the whole sale.
TURN_S = 0.0005
LOOK_S = 0.25  # how often an idle server looks whether it shall stop
# Above our own limit, so that a body that is too large is answered as a problem; nothing is spilled to disk.
_LARGEST_BODY = 2 * 1024 * 1024


class PortTaken(Fault):
    code = "service.port_taken"


class WebServer:
    """Serves one WSGI application.

    Args:
        threads: each open event stream keeps one for itself.
        port: 0 for any that is free.
        settings: what says host and port, for whoever has to correct it.
    Raises:
        PortTaken: somebody else listens there, or the address is not of this machine.
    """

    def __init__(
        self, app: Callable[..., Any], *, host: str, port: int, threads: int,
        settings: str = "listen_host and listen_port",
    ) -> None:  # fmt: skip
        try:
            self._server: Any = create_server(
                app,
                _dispatcher=Crew(threads),
                host=_address_of(host),
                port=port,
                threads=threads,
                ident=None,
                asyncore_use_poll=True,
                max_request_body_size=_LARGEST_BODY,
                inbuf_overflow=_LARGEST_BODY,
                clear_untrusted_proxy_headers=True,
            )
        except OSError as trouble:
            raise PortTaken(
                f"Nothing can listen on {host}:{port}: {trouble.strerror}. It must be an address of this machine, and a"
                f" port that nobody else has, such as another till service: stop that one, or correct {settings}.",
                port=port,
            ) from None
        named = f"[{host}]" if ":" in host else host
        self.url = f"http://{named}:{self._server.effective_port}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web server", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        sys.setswitchinterval(TURN_S)
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, for DRAIN_S at most, then close."""
        if self._thread.is_alive():
            self._stopping.set()
            self._thread.join()
        else:
            self._close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._once(LOOK_S)
        deadline = time.monotonic() + DRAIN_S
        while self._is_busy() and time.monotonic() < deadline:
            self._once(0.05)
        self._close()

    def _close(self) -> None:
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        if self._server.task_dispatcher.threads:
            # A task that does not end would wake the loop through a file number that is somebody else's by then.
            self._server._map.pop(self._server.trigger.fileno(), None)
        wasyncore.close_all(self._server._map)

    def _once(self, timeout_s: float) -> None:
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._server._map, count=1)

    def _is_busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def _address_of(host: str) -> str:
    """One address of a name, of IPv4 where it has any: on `localhost` waitress would listen twice, on two servers."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])
