"""What the service tells whoever supervises its process: systemd, where its unit sets `WatchdogSec`.

Every ten seconds that the service works: that it can begin a transaction, and that its conversation with head office
can be asked how it stands. Where that stops, systemd ends the process and starts it again; nothing answered is lost by
that. Before, for as long as its files are being opened: a journal that has to be saved or brought to a new shape may
take longer than systemd waits, and would never be done where each start were ended half-way. Without systemd nothing is
said. Source: sd_notify(3), WATCHDOG=1.
"""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

OPENING_SIGN_S = 10.0
_log = logging.getLogger(__name__)


def is_supervised() -> bool:
    """Whether somebody waits for signs of life of this very process."""
    is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return is_ours and bool(os.environ.get("NOTIFY_SOCKET"))


def tell_alive() -> None:
    """One sign of life; one that cannot be given is logged, for then the process is ended for nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    # An address that begins with @ is in the abstract namespace.
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(1.0)
            line.sendto(b"WATCHDOG=1", target)
    except OSError as trouble:
        _log.warning("systemd does not hear that this till lives: %s", trouble)


@contextmanager
def telling_alive() -> Iterator[None]:
    """Signs of life, from a thread of their own, until the block ends; none where nobody waits for them."""
    is_over = threading.Event()

    def tell() -> None:
        tell_alive()
        while not is_over.wait(OPENING_SIGN_S):
            tell_alive()

    teller = threading.Thread(target=tell, name="signs of life", daemon=True)
    if is_supervised():
        teller.start()
    try:
        yield
    finally:
        is_over.set()
        if teller.ident is not None:
            teller.join()
