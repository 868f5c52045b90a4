"""What a request to launch a job asks for, once it was found to make one.

Of the configuration that is where its scripts run, and whether all that they may leave can be found: in
containers of the job's own it can, beside the operator's files or with the host's powers it cannot.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from paas_runner.helper.protocol import JobKey, LaunchRequest
from paas_runner.job.payload import PayloadError, decode

SHARED_BUILDS = "/builds"
"""The volume in the image of hosts, which is emptied between jobs."""

_WITH_POWERS = (
    "privileged",
    "services_privileged",
    "cap_add",
    "devices",
    "device_cgroup_rules",
    "pid_mode",
    "security_opt",
    "services_security_opt",
    "userns_mode",
)
"""Keys of `[runners.docker]` that may give a job more than its container."""

_OWN_MEMORY = ("none", "private", "shareable")


@attrs.frozen(kw_only=True)
class Order:
    """A job that can be run."""

    job: JobKey
    specification: str = attrs.field(repr=False)
    config: str = attrs.field(repr=False)
    limit_seconds: float
    """The job's own time limit."""

    with_engine: bool
    """Whether it needs a Docker engine."""

    doubt: str
    """Why it cannot be known that nothing of it is left in the end; empty if it can."""


def read(request: LaunchRequest, *, engine_url: str) -> Order:
    """The order in a request; raises ValueError, in words that quote nothing of a job.

    `engine_url` is the engine that is cleaned.
    """
    section = _section(request.config)
    try:
        payload = decode(request.specification.encode())
    except UnicodeEncodeError:
        raise ValueError("`specification` is no text in UTF-8") from None
    except PayloadError as error:
        raise ValueError(f"`specification` is no job: {error.why}") from None
    if payload.job_id != request.job.job_id:
        raise ValueError(f"`specification` is that of job {payload.job_id}, `job_id` is {request.job.job_id}")
    return Order(
        job=request.job,
        specification=request.specification,
        config=request.config,
        limit_seconds=payload.timeout.total_seconds(),
        with_engine=section.get("executor") == "docker",
        doubt="; ".join(_doubts(section, engine_url)),
    )


def _section(text: str) -> Mapping[str, Any]:
    try:
        text.encode()
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"`config` is no TOML ({type(error).__name__})") from None
    sections = document.get("runners")
    if not isinstance(sections, list) or len(sections) != 1 or not isinstance(sections[0], dict):
        raise ValueError("`config` has to have exactly one [[runners]] section")
    section: Mapping[str, Any] = sections[0]
    if not all(isinstance(section.get(key), str) for key in ("url", "token")):
        raise ValueError("`config`: the section needs `url` and `token`")
    return section


def _doubts(section: Mapping[str, Any], engine_url: str) -> Iterator[str]:
    executor = section.get("executor") or "shell"
    if executor != "docker":
        yield f'scripts of executor = "{executor}" may leave files anywhere on the host'
        return
    if section.get("builds_dir") not in (None, "", SHARED_BUILDS):
        yield "`builds_dir` keeps the files of projects"
    found = section.get("docker")
    table: Mapping[str, Any] = found if isinstance(found, dict) else {}
    if table.get("host") not in (None, "", engine_url):
        yield "`host` is another engine than that of the helper service"
    if powers := [key for key in _WITH_POWERS if table.get(key)]:
        yield f"containers with `{'`, `'.join(powers)}` may leave things anywhere on the host"
    if table.get("ipcmode") not in (None, "", *_OWN_MEMORY):
        yield "`ipcmode` shares memory with what outlives a job"
    volumes = table.get("volumes")
    if any(":" in str(entry) for entry in (volumes if isinstance(volumes, list) else ())):
        yield "`volumes` shares folders or volumes of the host with jobs"
