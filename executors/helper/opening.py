"""Where a helper service is, how it is spoken to, and a client for it."""

import attrs

from executors.helper.contract import HelperClient
from executors.helper.http1 import HttpHelper
from paas_runner.addresses import Address
from paas_runner.errors import MissingPackagesError, Transient
from paas_runner.http import Connect
from paas_runner.proxies import ProxyError
from paas_runner.secret import Secret

TLS, PLAIN = "https", "http"


@attrs.frozen(kw_only=True)
class Place:
    """One helper service."""

    address: Address
    http1: bool
    token: Secret | None
    service: str
    """Its name, for messages."""

    def opened(self, connect: Connect) -> HelperClient:
        """A client, for whoever closes it; raises `Transient` where this machine cannot make one now."""
        if not self.http1:
            return self._by_grpc()
        try:
            return HttpHelper(str(self.address), service=self.service, token=self.token, connect=connect)
        except (OSError, ProxyError) as error:
            op = "prepare the way to the helper service"
            raise Transient(str(error), service="the runner's own machine", op=op) from error

    def _by_grpc(self) -> HelperClient:
        needs_grpc(self.service)
        from executors.helper.grpc import GrpcHelper

        secure = self.address.scheme == TLS
        port = self.address.port or (443 if secure else 80)
        target = str(attrs.evolve(self.address, port=port, path="")).partition("://")[2]
        return GrpcHelper(target, service=self.service, token=self.token, tls=secure)


def needs_grpc(wanted_by: str) -> None:
    """Raise `MissingPackagesError` where the extra `grpc` is not installed."""
    try:
        import executors.helper.grpc  # noqa: F401 - as it is imported where it is used
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, extra="grpc", wanted_by=wanted_by) from error
