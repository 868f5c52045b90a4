"""What a runner announces of itself to a coordinator: the id of its machine, and `INFO` with every request.

The id distinguishes the machines behind one runner token; sections are those of spec `gitlab-runner-api.md`
(§1.8, §2.2). The features are those of the inner runner, GitLab Runner's docker executor: the coordinator
fails a job that needs one which is not announced, and hands out jobs that the host could not run if too many
are. One is for our own coordinator, since GitLab has given it up: `two_phase_job_commit`, a job is ours only
once we have acknowledged it, after it was recorded (§2.8).
"""

import hashlib
import hmac
import platform
import random
import re
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from paas_runner import __version__

log = structlog.stdlib.get_logger(__name__)

FILE = ".runner_system_id"
_FORM = re.compile(r"[sr]_[0-9A-Za-z]{12}")
_MACHINE_ID = Path("/etc/machine-id")

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


def system_id(folders: Iterable[Path], rng: random.Random, machine_id: Path = _MACHINE_ID) -> str:
    """The id written in one of `folders`, else a new one, written to the first folder where that works.

    Never fails: an id that cannot be written is only warned about, as GitLab Runner does.
    """
    places = [folder / FILE for folder in folders]
    if written := _written(places):
        return written
    new = _of_machine(machine_id) or _random(rng)
    for place in places:
        try:
            place.touch(mode=0o600)
            place.write_text(new)
        except OSError:
            continue
        return new
    log.warning("system_id_not_kept", tried=[str(p) for p in places])
    return new


def foreseen_system_id(folders: Iterable[Path], machine_id: Path = _MACHINE_ID) -> str | None:
    """What `system_id` would return, found out without writing anything; None when that is up to chance."""
    return _written(folder / FILE for folder in folders) or _of_machine(machine_id)


def _written(places: Iterable[Path]) -> str | None:
    return next((text for text in map(_read, places) if _FORM.fullmatch(text)), None)


def _of_machine(machine_id: Path) -> str | None:
    machine = _read(machine_id)
    if not machine:
        return None
    digest = hmac.new(machine.encode(), b"gitlab-runner", hashlib.sha256).hexdigest()
    return f"s_{digest[:12]}"


def _random(rng: random.Random) -> str:
    return "r_" + "".join(rng.choices(string.ascii_letters + string.digits, k=12))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
