"""A till's HTTP API as a POS calls it, and the POS of the demo: ids made here, kept through every retry."""

import json
import socket
import time
from typing import Any

import requests

from loyalty.trouble import Fault


class TillSaysNo(Fault):
    code = "demo.till_says_no"


class TillClient:
    """Calls one till on loopback. A problem document becomes `TillSaysNo` with its sentence and code."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **query: Any) -> Any:
        """GET a JSON answer."""
        return self._answer(self._session.get(self.url + path, params=query, timeout=30))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST JSON, answer JSON."""
        return self._answer(self._session.post(self.url + path, json=body, timeout=30))

    def delete(self, path: str) -> Any:
        """DELETE, answer JSON."""
        return self._answer(self._session.delete(self.url + path, timeout=30))

    def post_and_hang_up(self, path: str, body: dict[str, Any]) -> None:
        """Send a request and do not wait for its answer: whoever dies next leaves the POS in doubt."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
            line.sendall(head.encode() + data)
            time.sleep(0.003)  # somewhere within the commit

    def _answer(self, response: requests.Response) -> Any:
        said = response.json()
        if response.status_code >= 400:
            raise TillSaysNo(f"{said.get('detail')} ({said.get('code')})", **said)
        return said
