"""`[runners.docker]` of a `runner.toml`: GitLab Runner's own keys (spec gitlab-runner-api.md §9.3)."""

import os
from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.docker.containers import Ulimit
from paas_runner.docker.engine import Address, address_from
from paas_runner.docker.errors import SettingNames
from paas_runner.docker.registries import PullPolicy
from paas_runner.inner.ending import Reason, StageError, broken

DEFAULT_WAIT_SECONDS = 30.0
_NAMES = SettingNames(host="host", certificates="tls_cert_path", verify="tls_verify")
_STANDARD_NETWORKS = ("", "bridge", "default")


@attrs.frozen(kw_only=True)
class ContainerOptions:
    """What the containers of one kind, the job's or its services', are created with."""

    host_config: Mapping[str, Any]
    """Arguments of the SDK's `create_host_config`."""

    allowed_images: tuple[str, ...]
    """Patterns; none allow all."""


@attrs.frozen(kw_only=True)
class DockerSettings:
    """The keys that have a meaning here."""

    engine: Address
    image: str
    user: str
    allowed_users: tuple[str, ...]
    hostname: str
    pull_policies: tuple[PullPolicy, ...]
    allowed_pull_policies: tuple[PullPolicy, ...]
    volumes: tuple[str, ...]
    network_mode: str
    """Empty: a network for each job."""

    wait_seconds: float
    """For services; 0 or less: not at all."""

    entrypoint_kept: bool
    """Whether the image's own entrypoint is used, whatever the job asks for."""

    services: tuple[Mapping[str, Any], ...]
    """For every job, in the form of a payload's."""

    for_job: ContainerOptions
    for_services: ContainerOptions
    unknown: tuple[str, ...]
    """Keys without a meaning here."""

    def check_user(self, wanted: str) -> None:
        """Raise `StageError` for a user whom the configuration does not allow a job to ask for."""
        if wanted and self.allowed_users and wanted not in self.allowed_users:
            shown = ", ".join(self.allowed_users)
            text = f'the user "{wanted}" is not among those that this runner allows: {shown}'
            raise StageError(broken(text, Reason.CONFIGURATION))


def read_docker(table: Mapping[str, Any]) -> DockerSettings:
    """Read the table; raises `StageError` for a value that makes no sense."""
    reader = _TableReader(table)
    policies = reader.policies("pull_policy") or (PullPolicy.ALWAYS,)
    network = reader.text("network_mode")
    privileged = reader.truth("privileged")
    return DockerSettings(
        engine=_engine(reader.text("host"), reader.text("tls_cert_path"), verify=reader.truth("tls_verify")),
        image=reader.text("image"),
        user=reader.text("user"),
        allowed_users=reader.texts("allowed_users"),
        hostname=reader.text("hostname"),
        pull_policies=policies,
        allowed_pull_policies=reader.policies("allowed_pull_policies") or policies,
        volumes=reader.texts("volumes"),
        network_mode="" if network in _STANDARD_NETWORKS else network,
        wait_seconds=reader.number("wait_for_services_timeout", DEFAULT_WAIT_SECONDS),
        entrypoint_kept=reader.truth("disable_entrypoint_overwrite"),
        services=tuple(_service(entry) for entry in reader.tables("services")),
        for_job=ContainerOptions(
            host_config={**reader.options(_OF_ALL | _OF_JOB), "privileged": privileged},
            allowed_images=reader.texts("allowed_images"),
        ),
        for_services=ContainerOptions(
            host_config={
                **reader.options(_OF_ALL | _OF_SERVICES),
                "privileged": reader.truth("services_privileged", default=privileged),
            },
            allowed_images=reader.texts("allowed_services"),
        ),
        unknown=reader.unread,
    )


def _engine(host: str, certificates: str, *, verify: bool) -> Address:
    """Without a `host` the environment names it, as for Docker's own programs."""
    if not host:
        return address_from(os.environ)
    return Address(url=host, certificates=certificates or None, verify=verify, names=_NAMES)


def _service(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of `[[runners.docker.services]]` as a payload would have it."""
    pairs = (str(each).partition("=") for each in entry.get("environment") or ())
    return {**entry, "variables": [{"key": key, "value": value} for key, _, value in pairs]}


_SAME = ("dns", "dns_search", "extra_hosts", "runtime", "shm_size", "userns_mode")
_OF_ALL = dict(zip(_SAME, _SAME, strict=True))
_OF_JOB = {
    "cap_add": "cap_add",
    "cap_drop": "cap_drop",
    "cgroup_parent": "cgroup_parent",
    "cpu_shares": "cpu_shares",
    "cpus": "nano_cpus",
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "device_cgroup_rules": "device_cgroup_rules",
    "devices": "devices",
    "group_add": "group_add",
    "ipcmode": "ipc_mode",
    "memory": "mem_limit",
    "memory_reservation": "mem_reservation",
    "memory_swap": "memswap_limit",
    "oom_kill_disable": "oom_kill_disable",
    "oom_score_adjust": "oom_score_adj",
    "pid_mode": "pid_mode",
    "security_opt": "security_opt",
    "sysctls": "sysctls",
    "tmpfs": "tmpfs",
    "ulimit": "ulimits",
}
_OF_SERVICES = {
    "service_cgroup_parent": "cgroup_parent",
    "service_cpu_shares": "cpu_shares",
    "service_cpus": "nano_cpus",
    "service_cpuset_cpus": "cpuset_cpus",
    "service_memory": "mem_limit",
    "service_memory_reservation": "mem_reservation",
    "service_memory_swap": "memswap_limit",
    "services_security_opt": "security_opt",
    "services_tmpfs": "tmpfs",
}
"""GitLab Runner's key: the SDK's argument."""

_ELSEWHERE = frozenset({"helper_image", "helper_image_flavor", "disable_cache", "cache_dir", "volume_keep"})
"""Keys that change nothing where there is no helper container and nothing stays on the engine."""


class _TableReader:
    """Reads keys one by one and knows which have not been read."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table
        self._read: set[str] = set(_ELSEWHERE)

    @property
    def unread(self) -> tuple[str, ...]:
        """The keys that have not been read; one that switches something off is no loss."""
        return tuple(key for key, value in self._table.items() if key not in self._read and value)

    def text(self, key: str) -> str:
        return str(self._value(key, str, ""))

    def truth(self, key: str, *, default: bool = False) -> bool:
        return bool(self._value(key, bool, default))

    def number(self, key: str, default: float) -> float:
        return float(self._value(key, int | float, default))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(str(item) for item in self._value(key, list, []))

    def tables(self, key: str) -> tuple[Mapping[str, Any], ...]:
        found = self._value(key, list, [])
        if not all(isinstance(item, dict) for item in found):
            raise _wrong(key, found)
        return tuple(found)

    def policies(self, key: str) -> tuple[PullPolicy, ...]:
        """One, or a list of them."""
        found = self._value(key, str | list, [])
        return read_policies([found] if isinstance(found, str) else found, f"runner.toml: `{key}`")

    def options(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Those that are there, under the SDK's names."""
        found = {name: self._value(key, object, None) for key, name in names.items()}
        given = {name: value for name, value in found.items() if value not in (None, "", [], {})}
        return {name: _converted(name, value) for name, value in given.items()}

    def _value(self, key: str, kind: Any, default: Any) -> Any:
        self._read.add(key)
        found = self._table.get(key, default)
        if found is not default and not isinstance(found, kind):
            raise _wrong(key, found)
        return found


def read_policies(found: list[object], where: str) -> tuple[PullPolicy, ...]:
    """Pull policies by their names; raises `StageError`."""
    known = ", ".join(PullPolicy)
    try:
        return tuple(PullPolicy(str(name)) for name in found if name)
    except ValueError as error:
        raise StageError(broken(f"{where}: {error}; known are {known}", Reason.CONFIGURATION)) from None


def _converted(name: str, value: Any) -> Any:
    """A value as the SDK wants it; raises `StageError`."""
    try:
        match name:
            case "nano_cpus":
                return int(float(value) * 1e9)
            case "ulimits":
                return [_ulimit(kind, str(limit)) for kind, limit in value.items()]
            case _:
                return value
    except (AttributeError, TypeError, ValueError):
        raise _wrong(name, value) from None


def _ulimit(name: str, limit: str) -> Ulimit:
    """`soft:hard`, or one number for both."""
    soft, _, hard = limit.partition(":")
    return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))


def _wrong(key: str, value: object) -> StageError:
    text = f"runner.toml: [runners.docker] `{key}` cannot be {value!r}"
    return StageError(broken(text, Reason.CONFIGURATION))
