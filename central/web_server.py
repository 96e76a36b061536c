"""waitress, behind an interface of ours: bind, serve on a thread, drain, stop. Nothing else names it."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from loyalty.trouble import Fault

DRAIN_S = 5.0
# Kept-alive connections with nothing to say count, and at the default of a hundred they would keep others out.
MOST_CONNECTIONS = 1_000
# Above every limit of ours, so that what is too large gets an answer; nothing is spilled to disk.
_LARGEST_BODY = 1024 * 1024


class PortTaken(Fault):
    code = "central.port_taken"


class WebServer:
    """Serves one WSGI application.

    Args:
        port: 0 for any that is free.
        trusted_proxy: address of the proxy that ends TLS; "" where there is none.
    Raises:
        PortTaken: somebody else listens there, or the address is not of this machine.
    """

    def __init__(
        self, app: Callable[..., Any], *, host: str, port: int, threads: int, trusted_proxy: str = ""
    ) -> None:
        proxy = {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"}}
        try:
            self._server: Any = create_server(
                app,
                host=_address_of(host),
                port=port,
                threads=threads,
                ident=None,
                asyncore_use_poll=True,
                connection_limit=MOST_CONNECTIONS,
                max_request_body_size=_LARGEST_BODY,
                inbuf_overflow=_LARGEST_BODY,
                clear_untrusted_proxy_headers=True,
                **(proxy if trusted_proxy else {}),
            )
        except OSError as trouble:
            raise PortTaken(
                f"Nothing can listen on {host}:{port}: {trouble.strerror}. It must be an address of this machine, and a"
                " port that nobody else has, such as a head office that runs already: stop that one, or correct"
                " listen_host and listen_port.",
                port=port,
            ) from None
        named = f"[{host}]" if ":" in host else host
        self.url = f"http://{named}:{self._server.effective_port}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web server", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, for DRAIN_S at most, then close. A till that got no answer asks again."""
        self._stopping.set()
        if self._thread.is_alive():
            self._server.pull_trigger()
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._once(1.0)
        deadline = time.monotonic() + DRAIN_S
        while self._is_busy() and time.monotonic() < deadline:
            self._once(0.05)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
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
