"""The keys that `executor = "service-docker"` adds to a `[[runners]]` section, and what they name."""

from collections.abc import Iterable

import attrs

from executors.helper.opening import PLAIN, TLS, Place
from paas_runner.addresses import Address, AddressError, parsed
from paas_runner.secret import Secret
from paas_runner.settings import setting

_HOST = "paas-runner-helper-host"


@attrs.frozen(kw_only=True)
class ServiceDockerSettings:
    """The keys of 1.1.1, with its defaults (core-features.md H130)."""

    host: str = setting(
        "where the helper service listens: host:port, or an address that begins with https:// for TLS",
        default="localhost:8000",
        key=_HOST,
    )
    http1: bool = setting(
        "speak HTTP/1 with it; otherwise gRPC", default=False, key="paas-runner-helper-http1"
    )
    token: Secret | None = setting(
        "the token that it wants, HEPTAPOD_PAAS_RUNNER_TOKEN of its environment",
        default=None,
        key="paas-runner-helper-token",
        token=True,
    )

    @property
    def address(self) -> Address:
        """Without TLS unless the key says otherwise, as 1.1.1 has it; raises `AddressError`."""
        return parsed(self.host if "://" in self.host else f"{PLAIN}://{self.host}", (TLS, PLAIN))

    @property
    def place(self) -> Place:
        """Where it is, and how it is spoken to."""
        return Place(
            address=self.address, http1=self.http1, token=self.token, service=service_at(self.address)
        )

    def problems(self) -> Iterable[tuple[str, str]]:
        try:
            if self.address.path.strip("/"):
                yield _HOST, "must be a host and a port, without a path"
        except AddressError as error:
            yield _HOST, f"is no place of a helper service: {error}"


def service_at(address: Address) -> str:
    """What the helper there is called in messages."""
    return f"helper service at {str(address).partition('://')[2]}"
