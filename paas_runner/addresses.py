"""Addresses as people write them into files and environments: read once, whole, or refused in words. Pure.

Whatever is accepted here is accepted by every client that gets it: a port that is none, a host's name that no
resolver takes, half an IPv6 address are found where the address is read, not at its first use.
"""

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

import attrs
import idna

LONGEST = 2048
"""Characters of an address; longer ones are taken for a mistake."""

USUAL_LISTEN_PORT = 9252
"""GitLab Runner's for its metrics."""

UNIX = "unix:"
"""What the path of a socket begins with, where an address is expected."""

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NO_NAME = "the host of the address is no name of a host"
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


class AddressError(ValueError):
    """Something is no address: the text says what is wrong, and quotes nothing of it."""


@attrs.frozen(kw_only=True)
class Address:
    """The parts of an address, each in the form in which clients want it."""

    scheme: str
    """In lower case."""

    host: str
    """A name in ASCII, or an IP address; IPv6 without brackets."""

    port: int | None = None
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}") + self.path


def parsed(text: str, schemes: Collection[str]) -> Address:
    """An address without credentials, query and fragment; raises `AddressError`."""
    if len(text) > LONGEST:
        raise AddressError(f"the address is longer than {LONGEST} characters")
    if not text.isprintable() or " " in text:
        raise AddressError("the address has a blank or an invisible character in it")
    if any(character in text for character in "@?#"):
        raise AddressError("credentials, query and fragment have no place in this address")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise AddressError("the brackets of the address enclose no IPv6 address") from None
    if parts.scheme not in schemes:  # urlsplit gives it in lower case
        raise AddressError(f"the address must begin with {' or '.join(f'{each}://' for each in schemes)}")
    host, port = host_and_port(parts.netloc)
    return Address(scheme=parts.scheme, host=host, port=port, path=parts.path)


@attrs.frozen(kw_only=True)
class ListenPlace:
    """Where a service listens: a port on the addresses of a name, or the path of a unix socket."""

    host: str = ""
    """Empty means all interfaces; IPv6 without brackets."""

    port: int = USUAL_LISTEN_PORT
    """0 means any that is free."""

    path: str = ""
    """Of a unix socket, absolute; then host and port mean nothing."""

    def __str__(self) -> str:
        if self.path:
            return f"{UNIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def on_loopback(self) -> bool:
        """Whether only programs of this machine come through, over TCP."""
        if self.path:
            return False
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower().removesuffix(".") == "localhost"


def listen_place(text: str) -> ListenPlace:
    """From `host:port`, as GitLab Runner's `listen_address` has it, or `unix:/path`; raises `AddressError`.

    Without a port it is 9252, GitLab Runner's; without a host all interfaces are meant.
    """
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith("/") or path.endswith("/") or "\0" in path:
            raise AddressError("after `unix:` the absolute path of a socket is expected, unix:/run/… say")
        return ListenPlace(path=path)
    if "/" in text:
        raise AddressError("an address to listen on has no scheme and no path: host:port, or unix:/path")
    if re.fullmatch(r"[0-9]+", text):
        raise AddressError(f"a port has a colon before it: :{text}")
    host, _, port = text.rpartition(":") if re.search(r":[0-9]*$", text) else (text, "", "")
    if ":" in host and not host.startswith("["):
        raise AddressError("the IPv6 address needs brackets: [::1]:9252")
    name = host_and_port(host)[0] if host else ""
    return ListenPlace(host=name, port=0 if port == "0" else _port(port) or USUAL_LISTEN_PORT)


def coordinator_api(url: str) -> str:
    """Where the API of a coordinator is; as for GitLab Runner, the `/ci` of an old address counts nothing."""
    return f"{url.rstrip('/').removesuffix('/ci')}/api/v4"


def host_and_port(text: str) -> tuple[str, int | None]:
    """The two parts of `name:port`, where IPv6 has brackets and the port may be absent."""
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:]*))?", text)
    if found is None:
        raise AddressError("the host of the address is no name and no IP address (IPv6 needs brackets)")
    host, port = found.groups()
    return (_ipv6(host[1:-1]) if host.startswith("[") else host_name(host)), _port(port)


def host_name(text: str) -> str:
    """A host's name in ASCII, or an IPv4 address."""
    if not text:
        raise AddressError("the address has no host")
    name = text if text.isascii() else _ascii(text)
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise AddressError(_NO_NAME)
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise AddressError("the host of the address looks like an IPv4 address, but is none") from None
    if "xn--" in name.lower():
        _ascii(name)
    return name


def _ascii(name: str) -> str:
    """A name of any script as resolvers take it; raises `AddressError` for what is none, as clients do."""
    try:
        return idna.encode(idna.decode(name.lower())).decode()
    except (idna.IDNAError, UnicodeError):
        raise AddressError(_NO_NAME) from None


def _ipv6(text: str) -> str:
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError:
        found = None
    if found is None or found.scope_id:
        raise AddressError("the brackets of the address enclose no IPv6 address")
    return text


def _port(text: str | None) -> int | None:
    if not text:  # "name:" is good by RFC 3986, and means the usual one
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise AddressError("the port of the address is no number from 1 to 65535")
    return int(text)
