"""Keys in any case, as GitLab Runner takes them, brought to the one spelling by which both runners know them.

GitLab Runner compares the keys of its own tables without regard to case; of two that differ in nothing else
chance decides which one counts, so that two are refused here. Keys that are data (names of feature flags,
labels, sysctls) stay as they are, and so do those of the tables that GitLab Runner alone reads.
"""

from collections.abc import Collection, Mapping
from typing import Any

from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath

_NAMES_OF_DOCKER = """
allowed_images allowed_privileged_images allowed_privileged_services allowed_pull_policies
allowed_services allowed_users cache_dir cap_add cap_drop cgroup_parent container_labels cpu_shares
cpus cpuset_cpus cpuset_mems device_cgroup_rules devices disable_cache disable_entrypoint_overwrite
dns dns_search enable_ipv6 extra_hosts gpus group_add helper_image helper_image_flavor host hostname
image ipcmode isolation links log_options mac_address memory memory_reservation memory_swap
network_mode network_mtu oom_kill_disable oom_score_adjust pid_mode privileged pull_policy runtime
security_opt service_cgroup_parent service_cpu_shares service_cpus service_cpuset_cpus service_gpus
service_memory service_memory_reservation service_memory_swap service_slot_cgroup_template services
services_devices services_limit services_privileged services_security_opt services_tmpfs shm_size
sysctls tls_cert_path tls_verify tmpfs ulimit user userns_mode volume_driver volume_driver_ops
volume_keep volumes volumes_from wait_for_services_timeout
"""
_NAMES_OF_S3 = """
Accelerate AccessKey AssumeRoleMaxConcurrency AuthenticationType BucketLocation BucketName
DisableAssumeRoleCredentialsCaching DualStack Insecure PathStyle RoleARN SecretKey ServerAddress
ServerSideEncryption ServerSideEncryptionKeyID SessionToken UploadRoleARN
"""

FORWARDED_TABLES: Mapping[KeyPath, frozenset[str]] = {
    ("docker",): frozenset(_NAMES_OF_DOCKER.split()),
    ("docker", "services"): frozenset({"alias", "command", "entrypoint", "environment", "name"}),
    ("cache",): frozenset({"MaxUploadedArchiveSize", "Path", "Shared", "Type", "azure", "gcs", "s3"}),
    ("cache", "s3"): frozenset(_NAMES_OF_S3.split()),
    ("cache", "gcs"): frozenset(
        {"AccessID", "BucketName", "CredentialsFile", "PrivateKey", "UniverseDomain"}
    ),
    ("cache", "azure"): frozenset({"AccountKey", "AccountName", "ContainerName", "StorageDomain"}),
    ("custom_build_dir",): frozenset({"enabled"}),
}
"""Keys of the tables that both runners read (spec gitlab-runner-api.md §9.3, §9.4), outer tables first."""


def spelled(
    table: Mapping[str, Any], at: KeyPath, known: Collection[str], findings: Findings
) -> dict[str, Any]:
    """The table with each of its `known` keys in the spelling of these; what is there twice is noted."""
    canonical = {name.lower(): name for name in known}
    written: dict[str, str] = {}
    result: dict[str, Any] = {}
    for key, value in table.items():
        name = key if key in known else canonical.get(key.lower(), key)
        if name in written:
            findings.repeated((*at, key), (*at, written[name]))
        else:
            written[name], result[name] = key, value
    return result


def with_spelled_tables(section: Mapping[str, Any], at: KeyPath, findings: Findings) -> dict[str, Any]:
    """A section with the known keys of all its forwarded tables so spelled."""
    result = dict(section)
    for path, known in FORWARDED_TABLES.items():
        _spell_at(result, path, at, known, findings)
    return result


def _spell_at(
    table: dict[str, Any], path: KeyPath, at: KeyPath, known: frozenset[str], findings: Findings
) -> None:
    """Spell what is at `path` below `table`, which is ours to change."""
    [key, *rest] = path
    at, value = (*at, key), table.get(str(key))
    if isinstance(value, dict):
        value = dict(value) if rest else spelled(value, at, known, findings)
        if rest:
            _spell_at(value, tuple(rest), at, known, findings)
    elif isinstance(value, list) and not rest:
        value = [
            spelled(each, (*at, index), known, findings) if isinstance(each, dict) else each
            for index, each in enumerate(value)
        ]
    else:
        return
    table[str(key)] = value
