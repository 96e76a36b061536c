"""What the service tells whoever supervises its process: systemd, where its unit sets `WatchdogSec`.

Every ten seconds that the service works: that it can begin a transaction, and that its conversation with head office
can be asked how it stands. Where that stops, systemd ends the process and starts it again; nothing answered is lost by
that. Without systemd nothing is said. Source: sd_notify(3), WATCHDOG=1.
"""

import logging
import os
import socket

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
