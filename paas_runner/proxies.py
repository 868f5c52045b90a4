"""Which proxy a service is reached through: the environment's, by the rules of GitLab Runner.

They are those of Go (golang.org/x/net/http/httpproxy): HTTPS_PROXY or HTTP_PROXY by the scheme of the
address, in upper or lower case, but for what NO_PROXY names. A host on loopback is never reached through one.
ALL_PROXY is ignored. What cannot be used is refused in words, never left out.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

import attrs

from paas_runner.addresses import Address, AddressError, host_and_port, parsed
from paas_runner.errors import Exit, RunnerError
from paas_runner.secret import Secret

_PORTS = {"http": 80, "https": 443}


class ProxyError(RunnerError):
    """A variable of the environment names no proxy that can be used; the text quotes nothing of it."""

    exit_code = Exit.CONFIG


@attrs.frozen(kw_only=True)
class Proxies:
    """What an environment says of proxies."""

    environ: Mapping[str, str] = attrs.field(repr=False)

    def of(self, url: str) -> Secret | None:
        """The address of the proxy for a service, with credentials in it, maybe; None where there is none.

        Raises `ProxyError`; an address that is none itself has no proxy: whoever uses it complains.
        """
        try:
            service = parsed(url, tuple(_PORTS))
        except AddressError:
            return None
        name, found = self._variable(f"{service.scheme}_proxy")
        if not found or self._is_exempt(service):
            return None
        return Secret(_usable(name, found))

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The passwords in the variables, as they are written and as they are meant."""
        found = []
        for scheme in _PORTS:
            credentials, at, _ = self._variable(f"{scheme}_proxy")[1].rpartition("@")
            password = credentials.rpartition("//")[2].partition(":")[2]
            if at and password:
                found += [Secret(password), Secret(unquote(password))]
        return tuple(found)

    def _variable(self, name: str) -> tuple[str, str]:
        """Upper case goes before lower case; HTTP_PROXY of a CGI script may be a header of a request."""
        for each in (name.upper(), name):
            if value := self.environ.get(each, "").strip():
                if each == "HTTP_PROXY" and "REQUEST_METHOD" in self.environ:
                    continue
                return each, value
        return name.upper(), ""

    def _is_exempt(self, service: Address) -> bool:
        host = service.host.lower().removesuffix(".")
        address = _ip(host)
        if host == "localhost" or (address and address.is_loopback):
            return True
        port = service.port or _PORTS[service.scheme]
        entries = self._variable("no_proxy")[1].split(",")
        return any(_matches(entry.strip().lower(), host, address, port) for entry in entries)


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def _ip(host: str) -> _Ip | None:
    try:
        found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _matches(entry: str, host: str, address: _Ip | None, port: int) -> bool:
    """Whether one entry of NO_PROXY names the host; what is none names nothing, as in Go."""
    if not entry:
        return False
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return address is not None and address.version == network.version and address in network
    if (named := _ip(entry)) is None and (found := re.fullmatch(r"(.+):([0-9]+)", entry)):
        if int(found[2]) != port:
            return False
        entry = found[1]
        named = _ip(entry)
    if named or address:
        return named is not None and named == address
    if entry.startswith("*."):
        entry = entry[1:]
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _usable(name: str, value: str) -> str:
    """The proxy's address, whole; one without a scheme is an http proxy."""
    text = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ProxyError(f"${name}: the proxy's address has brackets that enclose no IPv6 address") from None
    if parts.scheme not in _PORTS:
        raise ProxyError(
            f"${name}: the proxy's address begins with {parts.scheme}://, which is not supported: "
            "http:// or https:// is needed"
        )
    credentials, at, place = parts.netloc.rpartition("@")
    if not (credentials.isascii() and credentials.isprintable()) or " " in credentials:
        raise ProxyError(f"${name}: user and password of the proxy must be percent-encoded")
    try:
        host, port = host_and_port(place)
    except AddressError as error:
        raise ProxyError(f"${name}: the proxy's address cannot be used: {error}") from None
    proxy = Address(scheme=parts.scheme, host=host, port=port)
    return urlunsplit((parts.scheme, credentials + at + str(proxy).partition("://")[2], "", "", ""))
