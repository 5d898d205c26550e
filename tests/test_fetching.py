"""Downloads from a server that misbehaves, and local files."""

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
from prunet.data.decoding import Rejection
from prunet.data.fetching import concurrency as fetching
from prunet.data.fetching.bodies import Limits, read_local
from prunet.data.fetching.concurrency import fetch_all
from prunet.data.fetching.downloading import Passing, download, open_session
from prunet.data.fetching.store import Store
from prunet.data.fetching.turns import Task, Turns
from tests.servers import (
    body,
    drip,
    drip_body_chunked,
    drip_head,
    drip_tls,
    endless_head,
    hang,
    in_turn,
    listening,
    redirect,
    reset,
    serve_tls,
    serving,
    status,
)


def attempt(url, *more, timeout=5, max_bytes=1000, known=None, private_addresses=True):
    """Download `url` and `more` urls in one session; return the bytes, or the reason, of the last one."""

    async def run():
        async with open_session("prunet-test/1.0", private_addresses) as session:
            for address in (url, *more):
                try:
                    answer = await download(
                        session, address, timeout=timeout, max_bytes=max_bytes, known=known
                    )
                    result = answer.data
                except Rejection as rejection:
                    result = (rejection.status, rejection.detail)
        return result

    return asyncio.run(run())


def test_a_body_comes_as_it_is():
    with serving({"/a": body(b"x" * 1000), "/b": body(b"")}) as server:
        assert attempt(server.url("/a")) == b"x" * 1000
        assert attempt(server.url("/b")) == b""
        assert server.headers["User-Agent"] == "prunet-test/1.0"
        assert server.headers["Accept-Encoding"] == "identity"


def test_a_body_is_unpacked_up_to_the_limit():
    packed, bomb = gzip.compress(b"x" * 1000), gzip.compress(b"x" * 10_000_000)
    answers = {name: body(data, Content_Encoding="gzip") for name, data in [("/a", packed), ("/b", bomb)]}
    with serving(answers) as server:
        assert attempt(server.url("/a")) == b"x" * 1000
        assert attempt(server.url("/b"), max_bytes=20_000) == (
            "too-large",
            "more than 20000 bytes",
        )


@pytest.mark.parametrize("length", [1001, None])  # None: found out while reading
def test_a_body_over_the_limit_is_too_large(length):
    with serving({"/a": body(b"x" * 1001, Content_Length=length)}) as server:
        assert attempt(server.url("/a")) == ("too-large", "more than 1000 bytes")


def test_a_length_over_the_limit_is_not_waited_for():
    with serving({"/a": body(b"x", Content_Length=10**12)}) as server:
        assert attempt(server.url("/a")) == ("too-large", "more than 1000 bytes")


@pytest.mark.parametrize("code", [204, 304, 403, 404, 410])
def test_other_codes_than_200_are_errors(code):
    with serving({"/a": status(code)}) as server:
        assert attempt(server.url("/a")) == ("http-error", f"HTTP status {code}")


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
def test_a_failure_that_may_pass_says_so_and_how_long_to_wait(failure, asked):
    async def run(url):
        async with open_session("prunet-test", True) as session:
            await download(session, url, timeout=5, max_bytes=1000)

    with serving({"/a": failure}) as server, pytest.raises(Passing) as raised:
        asyncio.run(run(server.url("/a")))
    assert raised.value.wait == asked or raised.value.wait > asked > 10**8


def fetched(tmp_path, *urls, retries=1, timeout=5.0, host_concurrency=4, host_delay=0.0, recheck=False):
    """Fetch `urls` as the stage does; return the rows of their results."""
    (tmp_path / "output").mkdir(exist_ok=True)
    results = fetch_all(
        urls,
        tmp_path,
        tmp_path / "output",
        Store(tmp_path / "store"),
        Limits(timeout, retries, 10_000, 10_000, recheck),
        concurrency=4,
        host_concurrency=host_concurrency,
        host_delay=host_delay,
        user_agent="prunet-test",
        private_addresses=True,
    )
    return [results[url] for url in urls]


@pytest.mark.parametrize("failure", [status(500), status(429, Retry_After="0"), status(503), reset])
def test_a_failure_that_passes_is_tried_again(tmp_path, monkeypatch, failure):
    monkeypatch.setattr(fetching, "FIRST_WAIT", 0.01)
    with serving({"/a": in_turn(failure, body(b"<html>"))}) as server:
        assert fetched(tmp_path, server.url("/a"))[0]["status"] == "not-an-image"
        assert server.requests["/a"] == 2


def test_a_failure_that_stays_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "FIRST_WAIT", 0.01)
    with serving({"/a": status(503), "/b": status(404)}) as server:
        rows = fetched(tmp_path, server.url("/a"), server.url("/b"), retries=2)
        assert [row["detail"] for row in rows] == ["HTTP status 503", "HTTP status 404"]
        assert server.requests == {"/a": 3, "/b": 1}


def test_the_wait_that_a_server_asks_for_is_kept_for_all_of_its_addresses(tmp_path):
    times = []

    def note(handler):
        times.append(time.monotonic())
        (status(429, Retry_After="1") if len(times) == 1 else body(b"<html>"))(handler)

    with serving(dict.fromkeys(("/a", "/b", "/c"), note)) as server:
        fetched(tmp_path, *map(server.url, ("/a", "/b", "/c")), host_concurrency=1)
    assert len(times) == 4
    assert times[1] - times[0] >= 1
    assert times[3] - times[1] < 1


@pytest.mark.parametrize("asked", ["86400", "Fri, 31 Dec 9998 23:59:59 GMT"])
def test_the_wait_that_a_server_asks_for_is_capped(tmp_path, asked):
    with serving({"/a": in_turn(status(429, Retry_After=asked), body(b"<html>"))}) as server:
        start = time.monotonic()
        assert fetched(tmp_path, server.url("/a"), timeout=0.5)[0]["status"] == "not-an-image"
        assert 0.5 <= time.monotonic() - start < 10


def test_a_host_is_asked_so_much_at_once_and_not_more(tmp_path):
    busy, most, lock = [0], [0], threading.Lock()

    def note(handler):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.05)
        with lock:
            busy[0] -= 1
        body(b"<html>")(handler)

    answers = {f"/{number}": note for number in range(6)}
    with serving(answers) as server:
        fetched(tmp_path, *map(server.url, answers), host_concurrency=2)
    assert most == [2]


def test_a_host_has_a_rest_between_two_tries(tmp_path):
    times = []

    def note(handler):
        times.append(time.monotonic())
        body(b"<html>")(handler)

    answers = {f"/{number}": note for number in range(4)}
    with serving(answers) as server:
        fetched(tmp_path, *map(server.url, answers), host_delay=0.1)
    assert min(after - before for before, after in itertools.pairwise(times)) > 0.05


def test_a_host_that_rests_keeps_no_other_waiting(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    turns = Turns(["a1", "a2", "a3", "b1", "1", "2"], lambda url: url.strip("123"), 2, 10.0)

    def taken():
        return task.url if isinstance(task := turns.take(), Task) else task

    assert [taken() for _ in range(5)] == ["a1", "b1", "1", "2", 10]  # what asks no host has no rests
    clock[0] = 110
    second = turns.take()
    assert second.url == "a2"
    assert taken() == math.inf  # two of a are active
    turns.postpone(second, 40, whole_host=False)
    assert [taken(), taken()] == [10, 10]
    clock[0] = 120
    assert [taken(), taken()] == ["a3", math.inf]


def test_a_host_that_asks_for_a_rest_gets_it(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    turns = Turns(["a1", "a2"], lambda url: "a", 2, 0.0)
    turns.postpone(turns.take(), 5, whole_host=True)
    assert turns.take() == 5


@pytest.mark.parametrize("answer", [hang, drip, drip_head, drip_body_chunked, endless_head])
def test_a_slow_answer_is_a_timeout(answer):
    with serving({"/a": answer}) as server:
        start = time.monotonic()
        assert attempt(server.url("/a"), timeout=0.3) == ("timeout", "no full answer within 0.3 s")
        assert time.monotonic() - start < 5
        assert server.requests["/a"] == 1


def test_a_tls_handshake_that_drips_is_a_timeout():
    with listening(drip_tls) as port:
        start = time.monotonic()
        assert attempt(f"https://127.0.0.1:{port}/", timeout=0.3) == (
            "timeout",
            "no full answer within 0.3 s",
        )
        assert time.monotonic() - start < 5


def test_a_connection_that_is_not_accepted_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(2):  # the queue of a backlog of 0 holds one
            taken = stack.enter_context(socket.socket())
            taken.setblocking(False)
            taken.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        assert attempt(url, timeout=0.3)[0] == "timeout"


def test_a_name_server_that_hangs_is_a_timeout(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(10))
    timer = threading.Timer(0.6, released.set)
    timer.start()
    assert attempt("http://photos.example/", timeout=0.3)[0] == "timeout"
    timer.join()


def test_a_certificate_that_nobody_vouches_for_is_not_tried_again(tmp_path):
    with listening(serve_tls(tmp_path)) as port:
        status, detail = attempt(f"https://localhost:{port}/")
    assert status == "unreachable"
    assert detail.startswith("not the server that it says it is (")


def test_a_refused_connection_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert attempt(f"http://127.0.0.1:{port}/") == (
        "unreachable",
        f"no full answer ([Errno 111] Connect call failed ('127.0.0.1', {port}))",
    )


def test_a_body_that_ends_early_is_unreachable():
    with serving({"/a": body(b"x" * 400, Content_Length=1000)}) as server:
        assert attempt(server.url("/a")) == (
            "unreachable",
            "no full answer (400, message: "
            "Not enough data to satisfy content length header (received 400 of 1000 bytes).)",
        )


def test_lengths_that_contradict_each_other_are_unreachable():
    with serving({"/a": body(b"x" * 40, Content_Length="40, 50")}) as server:
        assert attempt(server.url("/a"))[0] == "unreachable"


@pytest.mark.parametrize("url", ["http://", "http://a..b/", "http://[::1/", "http://127.0.0.1:99999/"])
def test_what_is_not_an_address(url):
    assert attempt(url)[0] == "bad-url"


def test_five_redirects_are_followed_and_not_six():
    answers = {f"/{n}": redirect(f"/{n + 1}") for n in range(6)} | {"/6": body(b"end")}
    with serving(answers) as server:
        assert attempt(server.url("/1")) == b"end"
        assert attempt(server.url("/0")) == ("redirects", "more than 5 redirects")
        assert server.requests["/6"] == 1


def test_a_circle_of_redirects():
    with serving({"/a": redirect("/b"), "/b": redirect("/a")}) as server:
        assert attempt(server.url("/a")) == ("redirects", "redirected in a circle")
        assert server.requests == {"/a": 1, "/b": 1}


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://a/b", "http://:80/b", "http://[a", "data:,x"]
)
def test_redirects_to_other_than_http(target):
    with serving({"/a": redirect(target)}) as server:
        result, detail = attempt(server.url("/a"))
        assert (result, detail.startswith("redirected to what is n")) == ("redirects", True)


def test_the_body_of_a_redirect_is_not_read():
    with serving({"/a": lambda handler: drip(handler, 302, Location="/b"), "/b": body(b"end")}) as server:
        assert attempt(server.url("/a"), timeout=1) == b"end"


def test_no_cookies_are_kept():
    with serving({"/a": status(200, Set_Cookie="seen=1"), "/b": body(b"")}) as server:
        attempt(server.url("/a"))
        attempt(server.url("/b"))
        assert "Cookie" not in server.headers


@pytest.mark.parametrize("user_agent", ["", " a", "a\nb", "prünet"])
def test_a_user_agent_that_no_header_can_hold(user_agent):
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
        ("", "bad-url", "the url is empty"),
        ("../secret.jpg", "bad-url", "a path that leaves the folder of the list"),
        ("../lists-2/b.jpg", "bad-url", "a path that leaves the folder of the list"),
        ("link.jpg", "bad-url", "a path that leaves the folder of the list"),
        ("out/secret.jpg", "bad-url", "a path that leaves the folder of the list"),
        (".", "bad-url", "a path that leaves the folder of the list"),
        ("/etc/hostname", "bad-url", "an absolute path: local paths are relative to the list"),
        ("file:///etc/hostname", "bad-url", "neither an http nor an https address, nor a relative path"),
        ("a\x00b", "bad-url", "not a path (embedded null byte)"),
        ("nothing.jpg", "missing-file", "there is no such file"),
        ("in", "missing-file", "there is no such file"),
        ("x" * 300, "missing-file", "cannot be read (File name too long)"),
        ("in/a.jpg", "too-large", "more than 9 bytes"),
    ],
)
def test_local_paths_that_give_nothing(folder, url, status, detail):
    with pytest.raises(Rejection) as raised:
        read_local(folder, url, 9)
    assert (raised.value.status, raised.value.detail) == (status, detail)


def test_a_circle_of_links_gives_nothing(folder):
    with pytest.raises(Rejection) as raised:
        read_local(folder, "loop", 9)
    assert raised.value.status == "bad-url"
