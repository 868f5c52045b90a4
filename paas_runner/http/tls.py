"""Whom TLS trusts and what it shows of us, read once for all that want the same.

To read the system's authorities takes 20 ms of CPU and a megabyte: not for each client, each host and tenant.
"""

import ssl
import tempfile
from pathlib import Path
from weakref import WeakValueDictionary

import attrs

from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Tls:
    """Certificates of a private installation; the authority is trusted beside the system's."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    authorities: str | None = None
    """In PEM: these alone are trusted, instead of the system's."""

    identity: Secret | None = None
    """Certificate and key by which we show ourselves, in PEM, where they are in no file."""

    verify: bool = True
    server_name: str = ""
    """What the server's certificate is for, where that is not the host of the address."""

    def context(self) -> ssl.SSLContext:
        """Read the files; raises OSError (of which `ssl.SSLError` is one), ValueError for what is no PEM."""
        context = ssl.create_default_context(cadata=self.authorities)
        context.set_alpn_protocols(["http/1.1"])
        if self.authorities:  # as clusters make them for themselves, and as Go's programs take them
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        if self.identity:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # 0600; ssl reads files only
                file.write(self.identity.reveal())
                file.flush()
                context.load_cert_chain(file.name)
        return context


class Contexts:
    """One of each kind, as long as anybody has it; a file that was replaced is read again."""

    def __init__(self) -> None:
        self._present: WeakValueDictionary[object, ssl.SSLContext] = WeakValueDictionary()

    def of(self, tls: Tls) -> ssl.SSLContext:
        """Raises OSError for files that cannot be read."""
        files = (tls.ca_file, tls.cert_file, tls.key_file)
        key = (tls, *(_version(path) for path in files if path))
        context = self._present.get(key)
        if context is None:
            context = self._present[key] = tls.context()
        return context


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
