"""A mail server for tests: real SMTP on loopback, as much of it as a client of ours speaks."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps what it took in `taken`; `refuses` answers DATA with that code, `password` asks for it first.

    With `secure` it speaks TLS: from the first byte, or once STARTTLS is said where `starts_plain`.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.taken: list[EmailMessage] = []
        self.refuses = 0
        self.password = ""
        self.secure: ssl.SSLContext | None = None
        self.starts_plain = False
        self.was_secure: list[bool] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: MailServer = self.server  # type: ignore[assignment]
        if server.secure and not server.starts_plain and not self._secure(server.secure):
            return
        self._say("220 test")
        is_known = not server.password
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self._say("250-test")
                if server.starts_plain:
                    self._say("250-STARTTLS")
                self._say("250 AUTH PLAIN" if server.password else "250 8BITMIME")
            elif verb == "STARTTLS" and server.secure:
                self._say("220 go on")
                if not self._secure(server.secure):
                    return
            elif verb == "AUTH":
                _, _, given = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                is_known = given == server.password
                self._say("235 known" if is_known else "535 not you")
            elif verb in ("MAIL", "RCPT"):
                self._say("250 ok" if is_known else "530 who are you")
            elif verb == "DATA":
                self._take(server)
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _secure(self, context: ssl.SSLContext) -> bool:
        """Speak TLS from here on; False where the client does not want us."""
        try:
            self.request = context.wrap_socket(self.request, server_side=True)
        except (ssl.SSLError, OSError):
            return False
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
        return True

    def _take(self, server: MailServer) -> None:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if server.refuses:
            self._say(f"{server.refuses} not now")
            return
        server.was_secure.append(isinstance(self.request, ssl.SSLSocket))
        server.taken.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run one until the end of the block."""
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
