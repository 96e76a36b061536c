"""A line that can be cut: a TCP relay on loopback between a till and its centre, for the demo and for tests.

Pulled, it drops what is connected and refuses what comes, as a switched-off router would; plugged in, it relays again.
"""

import contextlib
import socket
import threading


class Plug:
    """Relays `127.0.0.1:port` to a centre's port until it is pulled."""

    def __init__(self, centre_port: int) -> None:
        self._centre = ("127.0.0.1", centre_port)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self.plug_in()

    def plug_in(self) -> None:
        """Listen, on the same port as before, and relay."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def pull(self) -> None:
        """Cut every connection and stop listening."""
        if self._listener is not None:
            _shut(self._listener)
            self._listener = None
        with self._lock:
            cut, self._open = self._open, set()
        for one in cut:
            _shut(one)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._centre, timeout=5)
            except OSError:
                if listener is not self._listener:
                    return
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            if listener is not self._listener:  # pulled while we connected
                _shut(near)
                _shut(far)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a cut line ends the relay, which is what it is for
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            self._open -= {source, sink}
        _shut(source)
        _shut(sink)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already gone
        one.shutdown(socket.SHUT_RDWR)
    one.close()
