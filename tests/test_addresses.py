"""The public-internet check applies to the very address that a connection goes to."""

import asyncio
import socket
from functools import partial

import pytest

from prunet.data.fetching.addresses import Refused, is_public, public_socket
from tests import servers
from tests.servers import body, redirect, serving

THIS_MACHINE = (
    *("127.0.0.1", "0.0.0.0", "localhost", "LOCALHOST", "127.255.255.254", "[::1]", "[::]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]", "[64:ff9b::127.0.0.1]"),
)
ODD_SPELLINGS = (
    *("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "127.0.0.1.", "0", "a.0x7f"),
)
attempt = partial(servers.attempt, private_addresses=False)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "192.0.1.1"),
        *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
    ],
)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.8", "192.0.2.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
        *("255.255.255.255", "192.88.99.1", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
        *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::1"),
        *("2001::1", "127.1", "2130706433", "0177.0.0.1", "0x7f.1", "localhost", ""),
    ],
)
def test_private_and_special_addresses(address):
    assert not is_public(address)


def test_sockets_are_created_only_for_public_addresses():
    with public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))) as created:
        assert created.family == socket.AF_INET
    with pytest.raises(Refused):
        public_socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 2)))


@pytest.mark.parametrize("host", THIS_MACHINE)
def test_this_machine_is_refused_under_every_name(host):
    with serving({"/a": body(b"secret")}) as server:
        status, detail = attempt(f"http://{host}:{server.server_port}/a")
        assert status == "refused"
        assert detail.endswith(" is not on the public internet")
        assert not server.requests


@pytest.mark.parametrize("private_addresses", [True, False])
@pytest.mark.parametrize("host", ODD_SPELLINGS)
def test_unusual_spellings_of_an_address_are_rejected(host, private_addresses):
    with serving({"/a": body(b"secret"), "/b": redirect(f"http://{host}/")}) as server:
        status, detail = attempt(f"http://{host}:{server.server_port}/a", private_addresses=private_addresses)
        assert (status, detail) == ("bad-url", f"{host} is not a plain IPv4 address")
        assert attempt(server.url("/b"), private_addresses=True)[0] == "redirects"
        assert server.requests == {"/b": 1}


def resolve_to(monkeypatch, *addresses):
    """Resolve names to `addresses`, one after another; return the list of names looked up."""
    look_ups = []

    def getaddrinfo(host, port, *_, **__):
        address = addresses[min(len(look_ups), len(addresses) - 1)]
        look_ups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port)))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return look_ups


def test_a_name_that_resolves_to_this_machine_is_refused(monkeypatch):
    resolve_to(monkeypatch, "127.0.0.1")
    with serving({"/a": body(b"secret")}) as server:
        url = f"http://photos.example:{server.server_port}/a"
        assert attempt(url) == ("refused", "photos.example is not on the public internet")
        assert not server.requests


def test_dns_rebinding_does_not_reach_this_machine(monkeypatch):
    look_ups = resolve_to(monkeypatch, "8.8.8.8", "127.0.0.1")
    connected = []

    async def connect(loop, made, where):
        connected.append(where[0])
        raise ConnectionRefusedError(111, "nobody there")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    with serving({"/a": body(b"secret")}) as server:
        url = f"http://photos.example:{server.server_port}/a"
        assert attempt(url)[0] == "unreachable"
        assert connected == ["8.8.8.8"]  # the address that was checked, without another look-up
        assert len(look_ups) == 1
        assert not server.requests


@pytest.mark.parametrize("target", ["http://127.0.0.2:{}/b", "//127.0.0.2:{}/b", "http://[::1]:{}/b"])
def test_a_redirect_to_this_machine_is_refused(monkeypatch, target):
    monkeypatch.setattr("prunet.data.fetching.addresses.is_public", lambda address: address == "127.0.0.1")
    answers = {"/b": body(b"secret")}
    with serving(answers) as server, serving({}) as inner:
        server.answers |= {"/a": redirect(target.format(inner.server_port)), "/c": body(b"photo")}
        assert attempt(server.url("/c")) == b"photo"
        assert attempt(server.url("/c"), server.url("/a"))[0] == "refused"
        assert server.requests == {"/c": 2, "/a": 1}


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_proxies_from_the_environment_are_ignored(monkeypatch, name):
    with serving({"/a": body(b"photo")}) as server, serving({}) as proxy:
        monkeypatch.setenv(name, proxy.url(""))
        assert attempt(server.url("/a"), private_addresses=True) == b"photo"
        assert not proxy.requests
