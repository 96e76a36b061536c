"""The nginx of the system, in a folder of its own, under the configuration that we ship."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.needs import require

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "tallypoint.conf"
AROUND = """
{user}
pid {folder}/pid;
error_log {folder}/error.log;
daemon off;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/tallypoint.conf;
}}
"""


def nginx_program() -> str:
    """Its path; a test without it is skipped, or fails where nothing may be missing."""
    found = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else "")
    return found or require("no nginx: apt-get install nginx-light")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def in_front_of(port: int, folder: Path, certificate: Path, key: Path) -> Iterator[tuple[int, int]]:
    """Run it before a server on loopback; the ports of TLS and of plain HTTP."""
    program, tls, plain = nginx_program(), free_port(), free_port()
    folder.mkdir(parents=True)
    text = SHIPPED.read_text("utf-8")
    for ours, theirs in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{tls} ssl http2;",
        "/etc/ssl/tallypoint/fullchain.pem": str(certificate),
        "/etc/ssl/tallypoint/privkey.pem": str(key),
        "server 127.0.0.1:8700;": f"server 127.0.0.1:{port};",
    }.items():
        assert ours in text, ours
        text = text.replace(ours, theirs, 1)
    (folder / "tallypoint.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], stdin=subprocess.DEVNULL, stdout=said,
            stderr=said,
        )  # fmt: skip
        try:
            _wait(process, tls, folder)
            yield tls, plain
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    said = (folder / "said").read_text() + "".join(one.read_text() for one in folder.glob("error.log"))
    raise RuntimeError(f"nginx did not start: {said}")
