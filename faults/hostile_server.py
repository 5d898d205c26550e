"""A web server on the loopback interface that misbehaves in every way that servers do, one for each path."""

import asyncio
import gzip
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection

from faults import hostile_pictures
from faults.apart import apart
from faults.hostile_pictures import GOOD

Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]

TRIES: Counter[str] = Counter()  # by path
FOREVER = 3600.0  # seconds


def picture(number: int) -> bytes:
    """Return the picture that most answers contain; it differs from number to number."""
    return GOOD["jpeg"](number)


def head(code: int, length: int | None, *lines: str) -> bytes:
    """Return the head of an answer."""
    size = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([f"HTTP/1.1 {code} X", *lines, *size, "\r\n"]).encode()


def send(make: Callable[[int], bytes], *lines: str, surplus: int = 0) -> Answer:
    """Answer 200; the Content-Length exceeds the sent bytes by `surplus`."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        data = make(number)
        writer.write(head(200, len(data) + surplus, *lines) + data)
        if surplus > 0:
            await hang_up(writer, number)

    return answer


def code(status: int, *lines: str) -> Answer:
    """Answer with a status and a page."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(head(status, None, *lines) if status == 204 else head(status, 5, *lines) + b"sorry")

    return answer


def redirect(to: Callable[[int], str]) -> Answer:
    """Answer 302."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(head(302, 0, f"Location: {to(number)}"))

    return answer


async def hang_up(writer: asyncio.StreamWriter, number: int) -> None:
    """Close the connection properly."""
    await writer.drain()
    writer.close()


async def reset(writer: asyncio.StreamWriter, number: int) -> None:
    """Reset the connection."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_in_body(writer: asyncio.StreamWriter, number: int) -> None:
    """Reset the connection after half the picture."""
    data = picture(number)
    writer.write(head(200, len(data)) + data[: len(data) // 2])
    await writer.drain()
    await reset(writer, number)


async def stall(writer: asyncio.StreamWriter, number: int) -> None:
    """Never answer."""
    await asyncio.sleep(FOREVER)


async def stall_in_body(writer: asyncio.StreamWriter, number: int) -> None:
    """Send half the picture, then nothing more."""
    data = picture(number)
    writer.write(head(200, len(data)) + data[: len(data) // 2])
    await asyncio.sleep(FOREVER)


def drip(start: bytes, drop: bytes = b"x", seconds: float = 0.05) -> Answer:
    """Send `start`, then `drop` every few milliseconds, forever."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(start)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(seconds)

    return answer


def first(times: int, failure: Answer, then: Answer) -> Answer:
    """Fail the first `times` requests of each path."""

    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        TRIES[str(number)] += 1
        await (failure if TRIES[str(number)] <= times else then)(writer, number)

    return answer


async def chunked(writer: asyncio.StreamWriter, number: int) -> None:
    """Send a picture in chunks of 100 bytes."""
    data = picture(number)
    parts = [data[start : start + 100] for start in range(0, len(data), 100)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    writer.write(head(200, None, "Transfer-Encoding: chunked") + body + b"0\r\n\r\n")


GOOD_ANSWERS: dict[str, Answer] = {  # the picture arrives in the end
    "500 once": first(1, code(500), send(picture)),
    "503 twice": first(2, code(503), send(picture)),
    "429 once": first(1, code(429, "Retry-After: 0"), send(picture)),
    "reset once": first(1, reset, send(picture)),
    "gzip": send(lambda number: gzip.compress(picture(number)), "Content-Encoding: gzip"),
    "chunked": chunked,
    "no length": send(picture, "Connection: close"),
    "strange header": send(picture, "X-Strange: \xff\xfe", "Content-Type: text/html"),
    "redirect": redirect(lambda number: f"/jpeg/{number}"),
    "redirect with umlaut": redirect(lambda number: f"/jpeg/{number}/gr\xfc\xdfe b"),
}
BAD_ANSWERS: dict[str, tuple[Answer, tuple[str, ...]]] = {
    **{str(status): (code(status), ("http-error",)) for status in (204, 401, 403, 404, 410, 451, 501)},
    "500 always": (code(500), ("http-error",)),
    "429 always": (code(429, "Retry-After: soon"), ("http-error",)),
    "brotli": (send(picture, "Content-Encoding: br"), ("http-error",)),
    "reset": (reset, ("unreachable",)),
    "hang up": (hang_up, ("unreachable",)),
    "reset in body": (reset_in_body, ("unreachable",)),
    "promises more": (send(picture, surplus=10), ("unreachable",)),
    "promises less": (send(picture, surplus=-10), ("broken-image", "unreachable")),
    "strange header name": (send(picture, "X-\xe4: y"), ("unreachable",)),
    "not gzip": (send(picture, "Content-Encoding: gzip"), ("unreachable",)),
    "no http": (drip(b"SSH-2.0-OpenSSH_9\r\n"), ("unreachable",)),
    "huge header": (drip(b"HTTP/1.1 200 OK\r\nX: " + bytes(100_000)), ("unreachable",)),
    "stall": (stall, ("timeout",)),
    "stall in body": (stall_in_body, ("timeout",)),
    "drip in header": (drip(b"HTTP/1.1 200 OK\r\nX-Filler: "), ("timeout",)),
    "drip in body": (drip(head(200, 100_000)), ("timeout",)),
    "drip in chunk": (drip(head(200, None, "Transfer-Encoding: chunked") + b"ffff\r\n"), ("timeout",)),
    "endless 100": (drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), ("timeout",)),
    "endless body": (
        drip(head(200, None, "Connection: close"), bytes(65_536), 0.002),
        ("too-large", "timeout"),
    ),
    "huge length": (drip(head(200, 10**12)), ("too-large",)),
    "gzip bomb": (send(lambda _: hostile_pictures.GZIP_BOMB, "Content-Encoding: gzip"), ("too-large",)),
    "redirect in a circle": (redirect(lambda number: f"/redirect in a circle/{number}"), ("redirects",)),
    "redirect without end": (redirect(lambda number: f"/redirect without end/{number + 1}"), ("redirects",)),
    "redirect to a file": (redirect(lambda _: "file:///etc/hostname"), ("redirects",)),
    "redirect to nonsense": (redirect(lambda _: "http://[a"), ("redirects",)),
    "redirect to a number": (redirect(lambda _: "http://2130706433/"), ("redirects",)),
}
ANSWERS: dict[str, Answer] = {
    **{kind: send(make) for kind, make in GOOD.items()},
    **{kind: send(make) for kind, (make, _) in hostile_pictures.BAD.items()},
    **GOOD_ANSWERS,
    **{kind: answer for kind, (answer, _) in BAD_ANSWERS.items()},
}


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection to the paths /KIND/NUMBER/ANYTHING."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while not writer.is_closing():
            request = await reader.readuntil(b"\r\n\r\n")
            kind, number = request.split(b" ", 2)[1].decode().split("/")[1:3]
            answer = ANSWERS.get(kind.replace("%20", " "), code(404))
            await answer(writer, int(number))
            await writer.drain()
            if b"Connection: close" in request:
                writer.close()
    writer.close()


async def drip_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Start a TLS record and never finish it."""
    with suppress(ConnectionError):
        await drip(b"\x16\x03\x03\x40\x00")(writer, 0)


def _serve(sender: Connection) -> None:
    async def main() -> None:
        servers = [
            await asyncio.start_server(handler, "127.0.0.1", 0, backlog=1024)
            for handler in (converse, drip_tls)
        ]
        sender.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(main())


def serving() -> AbstractContextManager[tuple[int, int]]:
    """Serve in another process until the block ends; yield the ports of http and of the bad https."""
    return apart(_serve)
