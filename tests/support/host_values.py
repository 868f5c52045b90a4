"""What the verbs of an executor get, for tests that have only a host or a name."""

from paas_runner.executor.contract import ProvisionedHost, Removal
from paas_runner.job.tracked import Host, HostName


def provisioned(host: Host) -> ProvisionedHost:
    return ProvisionedHost(name=HostName("hpd-job-abc-1"), host=host)


def removal(name: str, host: Host | None = None, *, search: bool) -> Removal:
    return Removal(name=HostName(name), host=host, search=search)
