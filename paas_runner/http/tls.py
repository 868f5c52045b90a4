"""Whom TLS trusts and what it shows of us, read once for all that want the same.

To read the system's authorities takes 20 ms of CPU and a megabyte: not for each client, each host and tenant.
"""

import ssl
from pathlib import Path
from weakref import WeakValueDictionary

import attrs


@attrs.frozen(kw_only=True)
class Tls:
    """Certificates of a private installation; the authority is trusted beside the system's."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files; raises OSError (of which `ssl.SSLError` is one)."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
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
