"""Web servers on the loopback interface that misbehave in chosen ways."""

import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Conversation = Callable[[socket.socket, threading.Event], None]
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Server of `answers` by path; it counts `requests` and keeps the latest request `headers`."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = dict(answers)
        self.requests: Counter[str] = Counter()
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
        self.server.headers = dict(self.headers)
        self.close_connection = True
        self.server.answers.get(self.path, status(404))(self)

    def log_message(self, *_: Any) -> None:
        """Keep the output of the tests quiet."""


@contextmanager
def serving(answers: Mapping[str, Answer]) -> Iterator[Server]:
    """Serve `answers` until the block ends."""
    with Server(answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


def body(data: bytes, **headers: Any) -> Answer:
    """Answer 200 with `data`; `headers` override the usual ones, None removes one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        wanted = {"Content-Type": "image/jpeg", "Content-Length": len(data)}
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        handler.send_response(200)
        for name, value in wanted.items():
            if value is not None:
                handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Answer `code` with an empty body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


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


def drip_head(handler: Any) -> None:
    """Send a header at one byte every 20 ms."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    _drip(handler.wfile.write, handler.server.stopping)


def drip_body_chunked(handler: Any) -> None:
    """Send a chunked body at one byte every 20 ms."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n")
    _drip(handler.wfile.write, handler.server.stopping)


def endless_head(handler: Any) -> None:
    """Send 100 Continue without end."""
    while not handler.server.stopping.wait(0.02):
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _drip(send: Callable[[bytes], object], stopping: threading.Event) -> None:
    while not stopping.wait(0.02):
        send(b"x")


def drip_tls(connection: socket.socket, stopping: threading.Event) -> None:
    """Send a TLS record of 16 kB at one byte every 20 ms."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    _drip(connection.sendall, stopping)


def serve_tls(folder: Path) -> Conversation:
    """Complete a TLS handshake with a self-signed certificate."""
    files = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout {} -out {}"
    subprocess.run(command.format(*files).split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])

    def converse(connection: socket.socket, stopping: threading.Event) -> None:
        del stopping
        context.wrap_socket(connection, server_side=True).close()

    return converse


@contextmanager
def listening(converse: Conversation) -> Iterator[int]:
    """Accept connections one after another and `converse` on each until the block ends; yield the port."""
    stopping = threading.Event()

    def accept() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            with connection, suppress(OSError):
                converse(connection, stopping)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            thread.join()


def reset(handler: Any) -> None:
    """Close the connection without an answer."""
    handler.connection.close()
