"""Servers are asked for the very bytes of an address, of the list and of redirects."""

import pytest
from yarl import URL

from prunet.data.fetching.spelling import parse, redirected
from prunet.data.images.decoding import Rejection
from tests.servers import attempt, body, redirect, serving

pytestmark = pytest.mark.field

# What follows the host in an address, and is asked for unchanged.
SPELLINGS = [
    *("/a%2Fb", "/a%2fb", "/%7Ejon/1.jpg", "/~jon/1.jpg", "/%61.jpg", "/a+b%2B.jpg", "/a,b;c=1;d"),
    *("/it's(1)!*.jpg", "/a%", "/a%zz", "/x[1].jpg", '/"<a>"|{b}^`', "/a\\b", "/a//b///c", "/.././a/../b/."),
    *(
        "/a?",
        "/a??",
        "/a?b=c%26d=e+f%20g",
        "/a?b=%E9",
        "/a?u=http://h/%2F?x",
        "/a?X-Sig=aB%2b/=&&=&",
        "/a:b@c",
    ),
]


@pytest.mark.parametrize("target", SPELLINGS)
def test_the_request_has_the_spelling_of_the_list(target):
    with serving({}) as server:
        attempt(server.url(target))
        assert server.lines == [f"GET {target} HTTP/1.1"]


@pytest.mark.parametrize("target", SPELLINGS)
def test_the_request_has_the_spelling_of_a_redirect(target):
    with serving({}) as server, serving({}) as other:
        server.answers |= {"/near": redirect(target), "/far": redirect(other.url(target))}
        attempt(server.url("/near"), server.url("/far"))
        assert server.lines[1] == f"GET {target} HTTP/1.1"
        assert other.lines == [f"GET {target} HTTP/1.1"]


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("", "/"),
        ("?a=b", "/?a=b"),
        ("/a#b?c", "/a"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/grüße.jpg?ä", "/gr%C3%BC%C3%9Fe.jpg?%C3%A4"),
        ("/\u3000", "/%E3%80%80"),
        ("/\udce9", "/%E9"),  # a byte that is not UTF-8
    ],
)
def test_only_what_no_request_can_hold_is_encoded(target, asked):
    with serving({}) as server:
        attempt(server.url(target))
        assert server.lines == [f"GET {asked} HTTP/1.1"]


def test_bytes_beyond_ascii_in_a_redirect_are_encoded_one_by_one():
    with serving({"/a": redirect("/gr\xfc\xc3\xbc e")}) as server:  # sent as Latin-1: half of it is UTF-8
        attempt(server.url("/a"))
        assert server.lines[1] == "GET /gr%FC%C3%BC%20e HTTP/1.1"


def test_a_signed_address_behind_a_login_is_asked_for_as_it_is():
    with serving({"/a%2Fb?s=%2b": body(b"photo")}) as server:
        url = server.url("/a%2Fb?s=%2b").replace("http://", "http://jon:s%40w@")
        assert attempt(url) == b"photo"
        assert server.headers["Authorization"] == "Basic am9uOnNAdw=="


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("c%2F;d?e=%7E", "http://h:81/a%2Fb/c%2F;d?e=%7E"),
        ("../c//d", "http://h:81/c//d"),
        ("../../../c/./d/..", "http://h:81/c/"),
        ("./", "http://h:81/a%2Fb/"),
        ("?e", "http://h:81/a%2Fb/x?e"),
        ("", "http://h:81/a%2Fb/x"),
        ("#e", "http://h:81/a%2Fb/x"),
        ("//g/%2e", "http://g/%2e"),
        ("HTTPS://G/..%2F", "https://g/..%2F"),
    ],
)
def test_only_relative_redirects_are_resolved(location, target):
    assert str(redirected(parse("http://h:81/a%2Fb/x?y/z"), location)) == target


@pytest.mark.parametrize("url", ["http://bücher.example/ä", "http://xn--bcher-kva.example/%C3%A4"])
def test_names_of_hosts_are_still_encoded(url):
    assert parse(url) == URL("http://xn--bcher-kva.example/%C3%A4", encoded=True)


@pytest.mark.parametrize("end", ["\r\nX-Injected: 1", "\n", "\r", "\x00", "\t", "\x7f"])
def test_no_control_character_reaches_a_server(end):
    with pytest.raises(Rejection, match="control character"):
        parse(f"http://h/a{end}b")
    with pytest.raises(Rejection, match="control character"):
        redirected(parse("http://h/a"), f"b{end}c")
