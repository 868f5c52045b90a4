"""Whom the inner runner trusts beside the system's authorities: a private one, of the coordinator's.

`tls-ca-file` of `runner.toml` names the file (spec gitlab-runner-api.md §8.3). It is for all connections of
the inner runner, and for git where the sources are; jobs have it in `CI_SERVER_TLS_CA_FILE`.
"""

import ssl
from pathlib import Path

import attrs
import httpx

from paas_runner.inner.settings import InnerRunnerError, RunnerSection


def with_authority(section: RunnerSection) -> RunnerSection:
    """The section with the certificates of its `tls-ca-file`; raises `InnerRunnerError`."""
    if not section.ca_file:
        return section
    try:
        text = Path(section.ca_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InnerRunnerError(f"runner.toml: `tls-ca-file` cannot be read: {error}") from error
    return attrs.evolve(section, authority=text)


def verification(section: RunnerSection, *, trust_environment: bool) -> ssl.SSLContext | bool:
    """How certificates of others are checked, and which is shown to them; raises `InnerRunnerError`."""
    if not section.authority and not section.cert_file:
        return True
    context = httpx.create_ssl_context(trust_env=trust_environment)
    try:
        if section.authority:
            context.load_verify_locations(cadata=section.authority)
    except ssl.SSLError as error:
        raise InnerRunnerError(
            f"runner.toml: `tls-ca-file` {section.ca_file} holds no certificates in PEM format"
        ) from error
    try:
        if section.cert_file:
            context.load_cert_chain(section.cert_file, section.key_file or None)
    except OSError as error:
        raise InnerRunnerError(
            f"runner.toml: `tls-cert-file` {section.cert_file} and its `tls-key-file` cannot be used: {error}"
        ) from error
    return context
