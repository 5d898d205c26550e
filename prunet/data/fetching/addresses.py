"""Addresses: which machines may be asked for a photo.

A list from the web may name machines that only this one can see: a router, a database, the metadata service
of a cloud. What is refused follows IANA's registries of special-purpose addresses (RFC 6890).
"""

import ipaddress
import socket
from typing import Any

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]  # as from socket.getaddrinfo

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last four bytes
# What Python 3.11 takes for public, and is not.
NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # old relays to IPv6
        "168.63.129.16/32",  # answers every virtual machine of one cloud
        "3fff::/20",  # documentation
    )
]


class Refused(OSError):
    """The address is not one of the public internet."""


def is_address(text: str) -> bool:
    """Say whether `text` is an IPv4 or IPv6 address in its usual spelling, unlike 2130706433 or 127.1."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Say whether an IPv4 or IPv6 address is one of the public internet.

    Private, loopback, link-local, multicast, reserved and unspecified addresses are not; nor are IPv6
    addresses that stand for such an IPv4 address (mapped, 6to4, NAT64), nor what `is_address` is not.
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
    """Make the socket that is about to be connected to the address of `info`, if that is public.

    Whatever a name server said before, or says the next time, and whichever redirect led here: this is the
    address that the connection goes to.

    Raises:
        Refused: it is not; with the same words for each address, so that several refusals stay one.
    """
    family, kind, protocol, _, where = info
    if not is_public(str(where[0])):
        raise Refused("not on the public internet")
    return socket.socket(family, kind, protocol)
