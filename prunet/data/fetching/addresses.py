"""Hosts of urls, and the check that photos are downloaded only from the public internet.

A list from the web may name machines that only this one can reach: a router, a database, a cloud's metadata
service. Refused addresses follow IANA's registries of special-purpose addresses (RFC 6890).
"""

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]  # as returned by socket.getaddrinfo

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last four bytes
# Not public, although Python 3.11 considers them global.
NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # former 6to4 relays
        "168.63.129.16/32",  # answers every virtual machine of one cloud
        "3fff::/20",  # documentation
    )
]


class Refused(OSError):
    """The address is not on the public internet."""


def is_remote(url: str) -> bool:
    """Return whether `url` is an http or https address."""
    return url.lower().startswith(("http://", "https://"))


def host_of(url: str) -> str:
    """Return the host of an http or https address, or "" if it has none or `url` is a local path."""
    try:
        return urlsplit(url).hostname or "" if is_remote(url) else ""
    except ValueError:
        return ""


def is_address(text: str) -> bool:
    """Return whether `text` is an IPv4 or IPv6 address in its usual spelling, unlike 2130706433 or 127.1."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Return whether an IPv4 or IPv6 address is on the public internet.

    Private, loopback, link-local, multicast, reserved and unspecified addresses are not, nor are IPv6
    addresses that embed such an IPv4 address (mapped, 6to4, NAT64), nor anything that fails `is_address`.
    """
    if not is_address(address):
        return False
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(ip.packed[12:]) if ip in NAT64 else None
        inner = ip.ipv4_mapped or ip.sixtofour or nat64
        if inner is None and ip not in GLOBAL_UNICAST:
            return False
        ip = inner or ip
    if ip.is_multicast or ip.is_reserved or not ip.is_global:
        return False
    return not any(ip in network for network in NOT_PUBLIC)


def public_socket(info: AddressInfo) -> socket.socket:
    """Create the socket for a connection to the address in `info` if that address is public.

    The check applies to the very address that is connected to, so neither redirects nor a DNS server that
    changes its answer can bypass it.

    Raises:
        Refused: the address is not public. Its text is always the same, so that the errors of a host's
            several addresses are merged into one.
    """
    family, kind, protocol, _, where = info
    if not is_public(str(where[0])):
        raise Refused("not on the public internet")
    return socket.socket(family, kind, protocol)
