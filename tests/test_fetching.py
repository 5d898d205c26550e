"""Downloads from a server that misbehaves, and local files."""

import gzip
import re
import socket
import time

import pytest

from prunet.base.errors import InputError
from prunet.faces.downloading import download, open_session
from prunet.faces.fetching import read_local
from prunet.faces.images import Rejection
from tests.servers import body, drip, hang, in_turn, redirect, reset, serving, status


@pytest.fixture
def session():
    with open_session("prunet-test/1.0") as session:
        yield session


def attempt(session, url, **options):
    try:
        return download(session, url, **({"timeout": 5, "retries": 0, "max_bytes": 1000} | options))
    except Rejection as rejection:
        return rejection.status, rejection.detail


def test_a_body_comes_as_it_is(session):
    with serving({"/a": body(b"x" * 1000), "/b": body(b"")}) as server:
        assert attempt(session, server.url("/a")) == b"x" * 1000
        assert attempt(session, server.url("/b")) == b""
        assert server.headers["User-Agent"] == "prunet-test/1.0"
        assert server.headers["Accept-Encoding"] == "identity"


def test_a_body_is_unpacked_up_to_the_limit(session):
    packed, bomb = gzip.compress(b"x" * 1000), gzip.compress(b"x" * 10_000_000)
    answers = {name: body(data, Content_Encoding="gzip") for name, data in [("/a", packed), ("/b", bomb)]}
    with serving(answers) as server:
        assert attempt(session, server.url("/a")) == b"x" * 1000
        assert attempt(session, server.url("/b"), max_bytes=20_000) == (
            "too-large",
            "more than 20000 bytes",
        )


@pytest.mark.parametrize("length", [1001, None])  # None: found out while reading
def test_a_body_over_the_limit_is_too_large(session, length):
    with serving({"/a": body(b"x" * 1001, Content_Length=length)}) as server:
        assert attempt(session, server.url("/a")) == ("too-large", "more than 1000 bytes")


def test_a_length_over_the_limit_is_not_waited_for(session):
    with serving({"/a": body(b"x", Content_Length=10**12)}) as server:
        assert attempt(session, server.url("/a")) == ("too-large", "more than 1000 bytes")


@pytest.mark.parametrize("code", [204, 403, 404, 410])
def test_other_codes_than_200_are_errors_at_once(session, code):
    with serving({"/a": status(code)}) as server:
        assert attempt(session, server.url("/a"), retries=2) == ("http-error", f"HTTP status {code}")
        assert server.requests["/a"] == 1


@pytest.mark.parametrize("failure", [status(500), status(429, Retry_After="0"), status(503), reset])
def test_a_failure_that_passes_is_tried_again(session, failure):
    with serving({"/a": in_turn(failure, body(b"now"))}) as server:
        assert attempt(session, server.url("/a"), retries=1) == b"now"
        assert server.requests["/a"] == 2


def test_a_failure_that_stays_is_told(session):
    with serving({"/a": status(503)}) as server:
        assert attempt(session, server.url("/a"), retries=1) == ("http-error", "HTTP status 503")
        assert server.requests["/a"] == 2


def test_the_wait_that_a_server_asks_for_is_kept(session):
    with serving({"/a": in_turn(status(429, Retry_After="1"), body(b"now"))}) as server:
        start = time.monotonic()
        assert attempt(session, server.url("/a"), retries=1) == b"now"
        assert time.monotonic() - start >= 1


@pytest.mark.parametrize("asked", ["86400", "9" * 5000, "soon", "Fri, 31 Dec 99999 23:59:59 GMT"])
def test_the_wait_that_a_server_asks_for_is_capped(session, asked):
    with serving({"/a": in_turn(status(429, Retry_After=asked), body(b"now"))}) as server:
        start = time.monotonic()
        assert attempt(session, server.url("/a"), retries=1, timeout=0.3) == b"now"
        assert 0.3 <= time.monotonic() - start < 10


@pytest.mark.parametrize("answer", [hang, drip])
def test_a_slow_answer_is_a_timeout(session, answer):
    with serving({"/a": answer}) as server:
        start = time.monotonic()
        assert attempt(session, server.url("/a"), timeout=0.3, retries=2) == (
            "timeout",
            "no full answer within 0.3 s",
        )
        assert time.monotonic() - start < 10
        assert server.requests["/a"] == 1


def test_a_refused_connection_is_unreachable(session):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert attempt(session, f"http://127.0.0.1:{port}/") == (
        "unreachable",
        "no full answer ([Errno 111] Connection refused)",
    )


def test_a_body_that_ends_early_is_unreachable(session):
    with serving({"/a": body(b"x" * 400, Content_Length=1000)}) as server:
        assert attempt(session, server.url("/a")) == (
            "unreachable",
            "no full answer (IncompleteRead(400 bytes read, 600 more expected))",
        )


def test_lengths_that_contradict_each_other_are_unreachable(session):
    with serving({"/a": body(b"x" * 40, Content_Length="40, 50")}) as server:
        assert attempt(session, server.url("/a"))[0] == "unreachable"


@pytest.mark.parametrize("url", ["http://", "http://a..b/", "http://[::1/", "http://127.0.0.1:99999/"])
def test_what_is_not_an_address(session, url):
    assert attempt(session, url)[0] == "bad-url"


def test_five_redirects_are_followed_and_not_six(session):
    answers = {f"/{n}": redirect(f"/{n + 1}") for n in range(6)} | {"/6": body(b"end")}
    with serving(answers) as server:
        assert attempt(session, server.url("/1")) == b"end"
        assert attempt(session, server.url("/0")) == ("redirects", "more than 5 redirects")
        assert server.requests["/6"] == 1


def test_a_circle_of_redirects(session):
    with serving({"/a": redirect("/b"), "/b": redirect("/a")}) as server:
        assert attempt(session, server.url("/a")) == ("redirects", "redirected in a circle")
        assert server.requests == {"/a": 1, "/b": 1}


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://a/b", "http://:80/b", "http://[a", "data:,x", "\xff"]
)
def test_redirects_to_other_than_http(session, target):
    with serving({"/a": redirect(target)}) as server:
        result, detail = attempt(session, server.url("/a"))
        assert (result, detail.startswith("redirected to what is n")) == ("redirects", True)


def test_the_body_of_a_redirect_is_not_read(session):
    with serving({"/a": lambda handler: drip(handler, 302, Location="/b"), "/b": body(b"end")}) as server:
        assert attempt(session, server.url("/a"), timeout=1) == b"end"


def test_no_cookies_are_kept(session):
    with serving({"/a": status(200, Set_Cookie="seen=1"), "/b": body(b"")}) as server:
        attempt(session, server.url("/a"))
        attempt(session, server.url("/b"))
        assert "Cookie" not in server.headers


@pytest.mark.parametrize("user_agent", ["", " a", "a\nb", "prünet"])
def test_a_user_agent_that_no_header_can_hold(user_agent):
    with pytest.raises(InputError, match=re.escape(repr(user_agent))):
        open_session(user_agent)


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
