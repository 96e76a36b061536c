"""A serial port on the network (RFC 2217) over pyserial's loop://, for what a pseudo-terminal cannot do: parity."""

import socket
import threading

import serial
import serial.rfc2217

STOPS_IN_S = 20


class SerialServer:
    """What is written to `serial` comes back as what is read at the far end."""

    def __init__(self) -> None:
        self.serial = serial.serial_for_url("loop://", timeout=0.05)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """For the port manager: what it answers."""
        self._connection.sendall(data)

    def _serve(self) -> None:
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(0.05)
        manager = serial.rfc2217.PortManager(self.serial, self)
        while not self._stopping.is_set():
            try:
                data = self._connection.recv(1024)
                if not data:
                    return
                self.serial.write(b"".join(manager.filter(data)))
            except TimeoutError:
                pass
            if waiting := self.serial.in_waiting:
                self._connection.sendall(b"".join(manager.escape(self.serial.read(waiting))))

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(STOPS_IN_S)
        self._connection.close()
        self._listener.close()
        self.serial.close()
