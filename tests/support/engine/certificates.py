"""Certificates for an engine that wants TLS, and for its clients."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """An authority, an engine's certificate and a client's, as the files that Docker's own programs want."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=authority")
    for name, prefix in (("engine", "server-"), ("client", "")):
        key, request, made = f"{prefix}key.pem", f"{prefix}request", f"{prefix}cert.pem"
        openssl("req", *new, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        authority = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2")
        openssl("x509", "-req", "-in", request, "-out", made, "-extfile", "names", *authority)
    return folder


def tls_options(certificates: Path) -> Sequence[str]:
    """With which dockerd wants certificates of its clients."""
    files = (("cacert", "ca.pem"), ("cert", "server-cert.pem"), ("key", "server-key.pem"))
    return ["--tlsverify", *(f"--tls{name}={certificates / file}" for name, file in files)]
