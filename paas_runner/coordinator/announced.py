"""What this runner says of itself with every request (spec `gitlab-runner-api.md` §2.2).

The features are those of the inner runner, GitLab Runner's docker executor: the coordinator fails a job that
needs one which is not announced, and hands out jobs that the host could not run if too many are. One is our
own: `two_phase_job_commit`, a job is ours only once we have said so, after it was recorded (§2.8).
"""

import platform
from collections.abc import Mapping
from typing import Any

from paas_runner import __version__

FEATURES: Mapping[str, bool] = {
    "variables": True,
    "image": True,
    "services": True,
    "artifacts": True,
    "cache": True,
    "fallback_cache_keys": True,
    "upload_multiple_artifacts": True,
    "upload_raw_artifacts": True,
    "refspecs": True,
    "masking": True,
    "raw_variables": True,
    "artifacts_exclude": True,
    "multi_build_steps": True,
    "trace_reset": True,
    "trace_checksum": True,
    "trace_size": True,
    "cancelable": True,
    "return_exit_code": True,
    "service_variables": True,
    "service_multiple_aliases": True,
    "image_executor_opts": True,
    "service_executor_opts": True,
    "cancel_gracefully": True,
    "two_phase_job_commit": True,
    "shared": False,
    "proxy": False,
    "session": False,
    "terminal": False,
    "vault_secrets": False,
    "native_steps_integration": False,
    "job_inputs": False,
}

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

INFO: Mapping[str, Any] = {
    "name": "paas-runner",
    "version": __version__,
    "revision": __version__,
    "platform": platform.system().lower(),
    "architecture": _MACHINES.get(platform.machine(), platform.machine()),
    "executor": "docker",
    "shell": "bash",
    "features": FEATURES,
}
