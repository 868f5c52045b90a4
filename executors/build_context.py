"""What is pushed to a host: a Dockerfile, the inner runner's configuration, and the job. Pure.

Only what the job's run needs goes along: the runner's token is reduced to its short form (the inner runner
names caches and containers by it), and no key of ours or of the provider's is among the forwarded ones. How
it is pushed is a protocol here; the ways are in `push`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from executors.toml_text import UnwritableTomlError, dumps
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import HostRequest, HostTrace, RunnerSection
from paas_runner.job.dependency_proxy import through_dependency_proxy
from paas_runner.job.payload import Payload
from paas_runner.secret import Secret

CONFIGURATION_FOLDER = "/etc/heptapod-runner"
AUTHORITY_FILE = "coordinator-ca.crt"
TRACEPARENT = "TRACEPARENT"


def build_context(
    request: HostRequest, section: RunnerSection, *, main_image: str, inner_executor: str = "docker"
) -> Mapping[str, bytes]:
    """The files by name; the same job and configuration always give the same bytes.

    Raises `Rejected` when the forwarded configuration cannot be written, `Transient` when the file of
    `tls-ca-file` cannot be read, `JobRefusedError` as `job_definition` does.
    """
    authority = authority_of(section)
    trusted = f"{CONFIGURATION_FOLDER}/{AUTHORITY_FILE}" if authority else ""
    configuration = inner_configuration(
        section, inner_executor=inner_executor, authority_file=trusted, trace=request.trace
    )
    files = {
        "runner.toml": configuration.encode(),
        "job.json": job_text(request.payload).encode(),
        **authority,
    }
    return {"Dockerfile": _dockerfile(main_image, list(files)).encode(), **files}


def authority_of(section: RunnerSection) -> Mapping[str, bytes]:
    """What a host has to trust to reach the coordinator: it gets the file itself, wherever that is here.

    Certificates by which we show ourselves stay here: every job could read them on its host. Raises
    `Transient` when the file cannot be read.
    """
    if section.tls is None or section.tls.ca_file is None:
        return {}
    try:
        return {AUTHORITY_FILE: section.tls.ca_file.read_bytes()}
    except OSError as error:
        text = f"{section.tls.ca_file}: {error.strerror}"
        raise Transient(text, service="the runner's own machine", op="read `tls-ca-file`") from error


def job_definition(payload: Payload) -> Mapping[str, Any]:
    """The payload as its host gets it, its images through the Dependency Proxy where the group has one.

    Raises `JobRefusedError` for a job that names an image that cannot exist.
    """
    return through_dependency_proxy(payload)


def job_text(payload: Payload) -> str:
    """`job_definition` as JSON; half a character, which no encoding takes, stays the escape that it was."""
    written = json.dumps(job_definition(payload), ensure_ascii=False, separators=(",", ":"))
    return written.encode(errors="backslashreplace").decode()


def _dockerfile(main_image: str, files: Sequence[str]) -> str:
    folder = CONFIGURATION_FOLDER
    command = [
        "/usr/bin/gitlab-runner",
        "exec-fetched-job",
        "--config",
        f"{folder}/runner.toml",
        f"{folder}/job.json",
    ]
    return (
        f"FROM {main_image}\n"
        f"COPY {' '.join(files)} {folder}/\n"
        'ENV DEBUG="true"\n'
        f"ENTRYPOINT {json.dumps(command)}\n"
    )


def inner_configuration(
    section: RunnerSection,
    *,
    inner_executor: str = "docker",
    authority_file: str = "",
    trace: HostTrace | None = None,
) -> str:
    """The inner runner's `runner.toml`; `authority_file` is where its host has the file of `authority_of`.

    Raises `Rejected` when the forwarded configuration cannot be written.
    """
    inner = {
        "name": section.name,
        "url": section.url,
        "token": section.short_token,
        "executor": inner_executor,
    }
    if authority_file:
        inner["tls-ca-file"] = authority_file
    try:
        return dumps({"runners": [{**inner, **section.forwarded, **_trace_keys(section, trace)}]})
    except UnwritableTomlError as error:
        raise Rejected(str(error), service="inner runner's configuration", op="write runner.toml") from error


def _trace_keys(section: RunnerSection, trace: HostTrace | None) -> Mapping[str, Any]:
    """By which the job's programs, and an inner runner that knows the table, continue the trace.

    As a variable of the section it reaches the job through every inner runner, GitLab Runner's, too.
    """
    if trace is None:
        return {}
    given = section.forwarded.get("environment", [])
    if not isinstance(given, list):  # the inner runner has something to say about it
        return {}
    keys: dict[str, Any] = {"environment": [*given, f"{TRACEPARENT}={trace.traceparent}"]}
    if trace.endpoint:
        headers = {name: value.reveal() for name, value in trace.headers.items()}
        keys["paas_traces"] = {"endpoint": trace.endpoint, **({"headers": headers} if headers else {})}
    return keys


_LEFT_OUT_BY_GIT = " .,:;<>\"\\'"


def signature(text: str) -> str:
    """A name as git writes it into a commit: without these characters at both ends.

    Git itself stopped leaving out the dot in version 2.47; a commit's id must not hang on that.
    """
    return text.strip(_LEFT_OUT_BY_GIT)


@attrs.frozen(kw_only=True)
class Identity:
    """Who a pushed commit is by: its author and committer."""

    name: str = attrs.field(converter=signature)
    email: str = attrs.field(converter=signature)


class Push(Protocol):
    """Publishes a tree as the only commit of a remote's `master`; repeating it changes nothing."""

    async def __call__(
        self, tree: Mapping[str, bytes], url: str, *, user: str, password: Secret, identity: Identity
    ) -> None:
        """Return once the remote has this tree or had one before; raise `Transient` or `Rejected`."""

    async def aclose(self) -> None:
        """Close connections."""
