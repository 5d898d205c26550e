"""Downloads from servers that misbehave, the queue of hosts, and local files."""

import asyncio
import gzip
import itertools
import math
import re
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from prunet.base.errors import InputError
from prunet.data.fetching import concurrency
from prunet.data.fetching.answers import TransientFailure
from prunet.data.fetching.bodies import Settings
from prunet.data.fetching.concurrency import fetch_all
from prunet.data.fetching.downloading import download, open_session
from prunet.data.fetching.host_queue import HostQueue, Task
from prunet.data.fetching.local_files import read_local
from prunet.data.fetching.store import Store
from prunet.data.images.decoding import Rejection
from tests.servers import attempt, body, drip, hang, in_turn, redirect, reset, self_signed, serving, status


def test_a_body_is_unchanged():
    with serving({"/a": body(b"x" * 1000), "/b": body(b"")}) as server:
        assert attempt(server.url("/a")) == b"x" * 1000
        assert attempt(server.url("/b")) == b""
        assert server.headers["User-Agent"] == "prunet-test/1.0"
        assert server.headers["Accept-Encoding"] == "identity"


def test_a_body_is_decompressed_up_to_the_limit():
    compressed, bomb = gzip.compress(b"x" * 1000), gzip.compress(b"x" * 10_000_000)
    answers = {name: body(data, Content_Encoding="gzip") for name, data in [("/a", compressed), ("/b", bomb)]}
    with serving(answers) as server:
        assert attempt(server.url("/a")) == b"x" * 1000
        assert attempt(server.url("/b"), max_bytes=20_000) == ("too-large", "more than 20000 bytes")


SHORT = "Not enough data to satisfy content length header (received 400 of 1000 bytes)."


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        *((status(code), "http-error", f"HTTP status {code}") for code in (204, 304, 403, 404, 410)),
        # The length tells that a body is too large; without one, this is noticed while reading.
        *(
            (body(b"x" * sent, Content_Length=length), "too-large", "more than 1000 bytes")
            for sent, length in ((1001, 1001), (1001, None), (1, 10**12))
        ),
        (body(b"x" * 400, Content_Length=1000), "unreachable", f"no complete answer (400, message: {SHORT})"),
        *(
            (redirect(to), "redirects", f"redirected to {to!r}: not an http or https address of a host")
            for to in ("file:///etc/hostname", "ftp://a/b", "http:b", "http:///b", "data:,x")
        ),
    ],
)
def test_answers_that_are_no_photo(answer, outcome, detail):
    with serving({"/a": answer}) as server:
        assert attempt(server.url("/a")) == (outcome, detail)


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        *((status(code), 0) for code in (429, 500, 502, 503, 504)),
        (reset, 0),
        (status(429, Retry_After="7"), 7),
        (status(503, Retry_After="Fri, 31 Dec 9998 23:59:59 GMT"), 10**9),
        *((status(429, Retry_After=asked), 0) for asked in ("soon", "-1", "9" * 5000, "Fri, 31 Dec 99999")),
        (status(429, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"), 0),
    ],
)
def test_a_transient_failure_has_the_wait_that_the_server_asks_for(failure, asked):
    async def run(url):
        async with open_session("prunet-test", True) as session:
            await download(session, url, timeout=5, max_bytes=1000)

    with serving({"/a": failure}) as server, pytest.raises(TransientFailure) as raised:
        asyncio.run(run(server.url("/a")))
    assert raised.value.wait == asked or raised.value.wait > asked > 10**8


SETTINGS = Settings(
    **{"timeout": 5.0, "retries": 1, "max_bytes": 10_000, "max_pixels": 10_000, "recheck": False},
    **{"concurrency": 4, "host_concurrency": 4, "host_delay": 0.0},
    **{"user_agent": "prunet-test", "private_addresses": True},
)


def fetched(tmp_path, *urls, **changes):
    """Fetch `urls` as the stage does; return their results."""
    output, store = tmp_path / "output", Store(tmp_path / "store")
    output.mkdir(exist_ok=True)
    results = fetch_all(urls, tmp_path, output, store, SETTINGS._replace(**changes))
    return [results[url] for url in urls]


def test_a_permanent_failure_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(concurrency, "FIRST_WAIT", 0.01)
    with serving({"/a": status(503), "/b": status(404)}) as server:
        rows = fetched(tmp_path, server.url("/a"), server.url("/b"), retries=2)
        assert [row["detail"] for row in rows] == ["HTTP status 503", "HTTP status 404"]
        assert server.requests == {"/a": 3, "/b": 1}


def test_retry_after_delays_all_addresses_of_the_host(tmp_path):
    times = []

    def record(handler):
        times.append(time.monotonic())
        (status(429, Retry_After="1") if len(times) == 1 else body(b"<html>"))(handler)

    with serving(dict.fromkeys(("/a", "/b", "/c"), record)) as server:
        fetched(tmp_path, *map(server.url, ("/a", "/b", "/c")), host_concurrency=1)
    assert len(times) == 4
    assert times[1] - times[0] >= 1
    assert times[3] - times[1] < 1


@pytest.mark.parametrize("asked", ["86400", "Fri, 31 Dec 9998 23:59:59 GMT"])
def test_retry_after_is_capped_at_the_timeout(tmp_path, asked):
    with serving({"/a": in_turn(status(429, Retry_After=asked), body(b"<html>"))}) as server:
        start = time.monotonic()
        assert fetched(tmp_path, server.url("/a"), timeout=0.3)[0]["status"] == "not-an-image"
        assert 0.3 <= time.monotonic() - start < 10


def test_requests_to_a_host_are_limited_and_spaced(tmp_path):
    times, busy, lock = [], [], threading.Lock()

    def record(handler):
        with lock:
            times.append(time.monotonic())
            busy.append(busy[-1] + 1 if busy else 1)
        time.sleep(0.7)
        with lock:
            busy.append(busy[-1] - 1)
        body(b"<html>")(handler)

    answers = {f"/{number}": record for number in range(4)}
    with serving(answers) as server:
        fetched(tmp_path, *map(server.url, answers), host_concurrency=2, host_delay=0.3)
    assert max(busy) == 2
    assert min(after - before for before, after in itertools.pairwise(times)) > 0.1


def test_a_delayed_host_does_not_delay_others(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    queue = HostQueue(["a1", "a2", "a3", "b1", "1", "2"], lambda url: url.strip("123"), 2, 10.0)

    def taken():
        return task.url if isinstance(task := queue.take(), Task) else task

    assert [taken() for _ in range(5)] == ["a1", "b1", "1", "2", 10]  # local files have no delay
    clock[0] = 110
    second = queue.take()
    assert second.url == "a2"
    assert taken() == math.inf  # two requests to a are active
    queue.postpone(second, 40, whole_host=False)
    assert [taken(), taken()] == [10, 10]
    clock[0] = 120
    assert [taken(), taken()] == ["a3", math.inf]


def test_postponing_a_whole_host_delays_its_other_tasks(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    queue = HostQueue(["a1", "a2"], lambda url: "a", 2, 0.0)
    queue.postpone(queue.take(), 5, whole_host=True)
    assert queue.take() == 5


@pytest.mark.parametrize("answer", [hang, drip])
def test_a_slow_answer_is_a_timeout(answer):
    with serving({"/a": answer}) as server:
        start = time.monotonic()
        assert attempt(server.url("/a"), timeout=0.2) == ("timeout", "no complete answer within 0.2 s")
        assert time.monotonic() - start < 5
        assert server.requests["/a"] == 1


def test_an_unaccepted_connection_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(2):  # the queue of a backlog of 0 holds one
            taken = stack.enter_context(socket.socket())
            taken.setblocking(False)
            taken.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        assert attempt(url, timeout=0.2)[0] == "timeout"


def test_a_hanging_dns_look_up_is_a_timeout(monkeypatch):
    def hang(*_, **__):
        time.sleep(0.6)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert attempt("http://photos.example/", timeout=0.2)[0] == "timeout"


def test_a_self_signed_certificate_is_unreachable(tmp_path):
    with serving({}, self_signed(tmp_path)) as server:
        status, detail = attempt(f"https://localhost:{server.server_port}/")
    assert status == "unreachable"
    assert detail.startswith("the server's certificate is not valid (")


def test_a_refused_connection_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert attempt(f"http://127.0.0.1:{port}/") == (
        "unreachable",
        f"no complete answer ([Errno 111] Connect call failed ('127.0.0.1', {port}))",
    )


def test_contradictory_content_lengths_are_unreachable():
    with serving({"/a": body(b"x" * 40, Content_Length="40, 50")}) as server:
        assert attempt(server.url("/a"))[0] == "unreachable"


INVALID = [
    *("http://", "http://:80/", "http://a..b/", "http://[::1/", "http://127.0.0.1:99999/", "http://a b/"),
    *("http://a\\@b/", "http://a!b/", "http:///a", "http://a\n/", "http://a/b\r\nX: y", "http://a/\x00"),
]


@pytest.mark.parametrize("url", INVALID)
def test_invalid_addresses(url):
    assert attempt(url)[0] == "bad-url"
    with serving({"/a": redirect(url)} if url.isprintable() else {}) as server:
        assert attempt(server.url("/a"))[0] == ("redirects" if url.isprintable() else "http-error")


def test_five_redirects_are_followed_but_not_six():
    answers = {f"/{n}": redirect(f"/{n + 1}") for n in range(6)} | {"/6": body(b"end")}
    with serving(answers) as server:
        assert attempt(server.url("/1")) == b"end"
        assert attempt(server.url("/0")) == ("redirects", "more than 5 redirects")
        assert server.requests["/6"] == 1


def test_circular_redirects_are_rejected():
    with serving({"/a": redirect("/b"), "/b": redirect("/a")}) as server:
        assert attempt(server.url("/a")) == ("redirects", "redirected in a circle")
        assert server.requests == {"/a": 1, "/b": 1}


def test_the_body_of_a_redirect_is_not_read():
    with serving({"/a": lambda handler: drip(handler, 302, Location="/b"), "/b": body(b"end")}) as server:
        assert attempt(server.url("/a"), timeout=1) == b"end"


def test_cookies_are_not_kept():
    with serving({"/a": status(200, Set_Cookie="seen=1"), "/b": body(b"")}) as server:
        attempt(server.url("/a"), server.url("/b"))
        assert "Cookie" not in server.headers


@pytest.mark.parametrize("user_agent", ["", " a", "a\nb", "prünet"])
def test_an_invalid_user_agent_is_refused(user_agent):
    with pytest.raises(InputError, match=re.escape(repr(user_agent))):
        open_session(user_agent, True)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "lists"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.jpg").write_bytes(b"x" * 10)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "lists-2").mkdir()
    (tmp_path / "lists-2" / "b.jpg").write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "out").symlink_to(tmp_path)
    (folder / "inner.jpg").symlink_to(folder / "in" / "a.jpg")
    (folder / "loop").symlink_to(folder / "loop")
    return folder


@pytest.mark.parametrize("url", ["in/a.jpg", "./in/../in/a.jpg", "inner.jpg"])
def test_a_file_below_the_folder_is_read(folder, url):
    assert read_local(folder, url, 10) == b"x" * 10


@pytest.mark.parametrize(
    ("url", "status", "detail"),
    [
        *(
            (url, "bad-url", "a path outside the folder of the list")
            for url in ("../secret.jpg", "../lists-2/b.jpg", "link.jpg", "out/secret.jpg", ".")
        ),
        ("", "bad-url", "the url is empty"),
        ("/etc/hostname", "bad-url", "an absolute path; local paths must be relative to the list"),
        ("file:///etc/hostname", "bad-url", "not an http, https or data address, nor a relative path"),
        ("a\x00b", "bad-url", "not a path (embedded null byte)"),
        ("nothing.jpg", "missing-file", "no such file"),
        ("in", "missing-file", "not a file"),
        ("x" * 300, "missing-file", "cannot be read (File name too long)"),
        ("in/a.jpg", "too-large", "more than 9 bytes"),
    ],
)
def test_invalid_local_paths_are_rejected(folder, url, status, detail):
    with pytest.raises(Rejection) as raised:
        read_local(folder, url, 9)
    assert (raised.value.status, raised.value.detail) == (status, detail)


def test_circular_links_are_rejected(folder):
    with pytest.raises(Rejection) as raised:
        read_local(folder, "loop", 9)
    assert raised.value.status == "bad-url"
