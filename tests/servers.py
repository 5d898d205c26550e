"""Web servers on the loopback interface that misbehave in chosen ways."""

import asyncio
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prunet.data.fetching.downloading import download, open_session
from prunet.data.images.decoding import Rejection


def attempt(*urls: str, timeout: float = 5, max_bytes: int = 1000, private_addresses: bool = True) -> Any:
    """Download `urls` in one session; return the bytes of the last one, or its status and detail."""

    async def run() -> Any:
        async with open_session("prunet-test/1.0", private_addresses) as session:
            for url in urls:
                try:
                    result: Any = (await download(session, url, timeout=timeout, max_bytes=max_bytes)).data
                except Rejection as rejection:
                    result = (rejection.status, rejection.detail)
        return result

    return asyncio.run(run())


Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Server of `answers` by path; counts `requests`, keeps their first `lines` and the latest `headers`."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = dict(answers)
        self.requests: Counter[str] = Counter()
        self.lines: list[str] = []
        self.headers: dict[str, str] = {}
        self.stopping = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, *_: Any) -> None:
        """Ignore errors: the clients of these tests hang up."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        self.server.lines.append(self.requestline)
        self.server.headers = dict(self.headers)
        self.close_connection = True
        self.server.answers.get(self.path, status(404))(self)

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        """Keep the output of the tests quiet."""


@contextmanager
def serving(answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve `answers` until the block ends."""
    with Server(answers) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


def body(data: bytes, code: int = 200, **headers: Any) -> Answer:
    """Answer `code` with `data`; `headers` override the usual ones, None removes one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = {"Content-Type": "image/jpeg", "Content-Length": len(data)}
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send_response(code)
        for name, value in wanted.items():
            if value is not None:
                handler.send_header(name, str(value))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Answer `code` with an empty body."""
    return body(b"", code, **headers)


def redirect(to: str) -> Answer:
    """Answer 302 to the address `to`."""
    return status(302, Location=to)


def in_turn(*answers: Answer) -> Answer:
    """Give the answers one after another, then repeat the last one."""
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def hang(handler: Any) -> None:
    """Accept the request and never answer."""
    handler.server.stopping.wait(30)


def drip(handler: Any, code: int = 200, **headers: str) -> None:
    """Send a body of a thousand bytes at one byte every 20 ms."""
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"\xff")
        handler.wfile.flush()
        if handler.server.stopping.wait(0.02):
            return


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return the context of a server with a self-signed certificate, whose files are written to `folder`."""
    files = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {} -out {}"
    subprocess.run(command.format(*files).split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    return context


def reset(handler: Any) -> None:
    """Close the connection without an answer."""
    handler.connection.close()
