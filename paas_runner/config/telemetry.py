"""Where the service sends what it tells of itself: `[traces]`, `[log_remote]`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from paas_runner.addresses import AddressError, host_and_port
from paas_runner.secret import Secret
from paas_runner.setting_types import Fraction, ReadableFile, Url
from paas_runner.settings import setting

if TYPE_CHECKING:
    from paas_runner.logs.syslog import LogReceiver

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_HEADER_VALUE = re.compile(r"[ -~]+")
_APP_NAME = re.compile(r"[!-~]{1,48}")
_PORT, _PORT_WITHOUT_TLS = 6514, 601  # IANA: syslog-tls (RFC 5425), syslog-conn
FACILITIES: Mapping[str, int] = {"user": 1, "daemon": 3} | {f"local{n}": 16 + n for n in range(8)}
"""Syslog's numbers (RFC 5424 §6.2.1)."""

_NO_HEADERS = 'must be "name=value" pairs with commas between them, as in OTEL_EXPORTER_OTLP_HEADERS'


@attrs.frozen(kw_only=True)
class Traces:
    """`[traces]`: a span for each phase and outside call of each job, sent by OTLP over HTTP."""

    endpoint: Url = setting("Where spans are sent, as OTLP over HTTP: `/v1/traces` is added to it.")
    headers: Secret | None = setting(
        'Headers to send along, "name=value" with commas between them, such as credentials.', default=None
    )
    tls_ca_file: ReadableFile | None = setting(
        "Certificates to trust beside the system's, for the endpoint.", default=None, key="tls-ca-file"
    )
    service_name: str = setting("What the service is called in the traces.", default="paas-runner")
    sample_ratio: Fraction = setting("Share of the jobs that are traced.", default=Fraction(1.0))
    hosts_endpoint: Url | None = setting(
        "Where the inner runner on a job's host sends its own spans; without it, it sends none.", default=None
    )
    hosts_headers: Secret | None = setting(
        "Headers for that, which are then on every host, where a job may be able to read them.", default=None
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """As `setting` describes."""
        for key in ("headers", "hosts_headers"):
            given: Secret | None = getattr(self, key)
            if given and headers_in(given) is None:
                yield key, _NO_HEADERS
        if self.hosts_headers and not self.hosts_endpoint:
            yield "hosts_headers", "has no effect without `hosts_endpoint`"


def headers_in(given: Secret | None) -> Mapping[str, Secret] | None:
    """The headers by name; None for what is no list of headers."""
    found: dict[str, Secret] = {}
    for pair in given.reveal().split(",") if given else ():
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (equals and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            return None
        found[name] = Secret(value)
    return found


def credentials_in(values: Iterable[Secret]) -> Sequence[Secret]:
    """Values of headers, and their last words: who quotes a credential leaves out `Bearer`."""
    return [part for value in values for part in (value, Secret(value.reveal().rpartition(" ")[2]))]


@attrs.frozen(kw_only=True)
class LogRemote:
    """`[log_remote]`: the log beside standard error, as syslog (RFC 5424) over TLS or TCP."""

    address: str = setting(
        "Where syslog is taken, as host:port; the port is 6514 by default, 601 without TLS."
    )
    tls: bool = setting("Whether lines go through TLS (RFC 5425).", default=True)
    tls_ca_file: ReadableFile | None = setting(
        "Certificates to trust beside the system's, for the address.", default=None, key="tls-ca-file"
    )
    tls_cert_file: ReadableFile | None = setting(
        "Our certificate for the receiver of the log.", default=None, key="tls-cert-file"
    )
    tls_key_file: ReadableFile | None = setting(
        "The private key of that certificate.", default=None, key="tls-key-file"
    )
    facility: str = setting("Syslog's facility of all lines.", default="daemon", choices=FACILITIES)
    app_name: str = setting("What the service is called in the lines.", default="paas-runner")

    def problems(self) -> Iterator[tuple[str, str]]:
        """As `setting` describes."""
        try:
            host_and_port(self.address)
        except AddressError as error:
            yield "address", "has neither scheme nor path: host:port" if "/" in self.address else str(error)
        if not _APP_NAME.fullmatch(self.app_name):
            yield "app_name", "must be 1 to 48 visible characters of ASCII, without blanks (RFC 5424)"
        if not self.tls and (self.tls_ca_file or self.tls_cert_file or self.tls_key_file):
            yield "tls", "is false, but certificates are named"
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            yield "tls-cert-file", "and `tls-key-file` belong together"

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, port = host_and_port(self.address)
        return host, port or (_PORT if self.tls else _PORT_WITHOUT_TLS)

    @property
    def receiver(self) -> "LogReceiver":
        """Where lines go; its module is imported by whoever sends any."""
        from paas_runner.logs.syslog import LogReceiver

        host, port = self.place
        return LogReceiver(
            host=host,
            port=port,
            tls=self.tls,
            ca_file=self.tls_ca_file,
            cert_file=self.tls_cert_file,
            key_file=self.tls_key_file,
        )
