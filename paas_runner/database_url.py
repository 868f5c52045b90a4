"""Where a store is on a database server: an address as libpq takes it, which shows without its credentials.

What stands in it is checked as far as people mistype it; the names of parameters are the library's to judge.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, unquote

import attrs

from paas_runner.addresses import LONGEST, AddressError, host_and_port
from paas_runner.secret import Secret

SCHEMES = ("postgresql", "postgres")
EXPECTED = "an address such as postgresql://user@host:5432/database"

_CREDENTIALS: Collection[str] = ("password", "sslpassword")
"""Parameters of the query that are secret."""

_FORM = re.compile(
    rf"(?P<scheme>{'|'.join(SCHEMES)})://(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<hosts>[^@/?]*)(?:/(?P<database>[^@/?]*))?(?:\?(?P<query>[^@?]*))?"
)
_ESCAPED = "in it %, @, /, ?, # and : of a name or password are written %25, %40, %2F, %3F, %23 and %3A"


@attrs.frozen(kw_only=True)
class DatabaseUrl:
    """One address; made by `database_url`."""

    url: Secret
    """All of it."""

    title: str
    """It without credentials and parameters, for people."""

    passwords: Sequence[Secret] = ()
    """Those that stand in it."""

    def __str__(self) -> str:
        return self.title

    def with_password(self, password: Secret) -> "DatabaseUrl":
        """The same address with a password, which has not to be escaped."""
        scheme, _, rest = self.url.reveal().partition("://")
        authority, slash, path = rest.partition("/")
        user, at, hosts = authority.rpartition("@")
        written = f"{scheme}://{user}:{quote(password.reveal(), safe='')}@{hosts if at else authority}"
        return attrs.evolve(self, url=Secret(f"{written}{slash}{path}"), passwords=(password,))


StorePlace: TypeAlias = Path | DatabaseUrl
"""Where records are: in a file that one process has for itself, or on a server."""


def database_url(text: str) -> DatabaseUrl:
    """Read an address; raises `AddressError`, which quotes nothing of it."""
    if not text.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        raise AddressError(f"{EXPECTED} was expected")
    if len(text) > LONGEST:
        raise AddressError(f"the address is longer than {LONGEST} characters")
    found = _FORM.fullmatch(text)
    if found is None or "#" in text or re.search("%(?![0-9A-Fa-f]{2})", text):
        raise AddressError(f"the address cannot be taken apart: {_ESCAPED}")
    for host in found["hosts"].split(","):
        if not host.startswith("%2F") and host.partition(":")[0]:  # a socket's folder, or the usual place
            host_and_port(host)
    user = f"{found['user']}@" if found["user"] else ""
    database = f"/{found['database']}" if found["database"] else ""
    passwords = [found["password"] or ""]
    passwords += [value for name, value in parse_qsl(found["query"] or "") if name in _CREDENTIALS]
    return DatabaseUrl(
        url=Secret(text),
        title=f"{found['scheme']}://{user}{found['hosts']}{database}",
        passwords=tuple(Secret(unquote(each)) for each in passwords if each),
    )
