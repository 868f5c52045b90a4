"""A job's services as its payload and the configuration describe them; pure.

Spec gitlab-runner-api.md §10.6.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_runner.inner.environment import startable
from paas_runner.inner.job import Job, mappings, texts
from paas_runner.job.images import InvalidReferenceError, is_image_id, parse


@attrs.frozen(kw_only=True)
class Service:
    """One service; variables are expanded."""

    image: str
    names: tuple[str, ...]
    """By which the job reaches it."""

    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str] = attrs.field(repr=False)
    pull_policy: object
    user: str
    platform: str

    @property
    def port(self) -> int | None:
        """The one that its author wants to be waited for."""
        text = self.environment.get("HEALTHCHECK_TCP_PORT", "")
        return int(text) if text.isascii() and text.isdigit() else None


@attrs.frozen(kw_only=True)
class Services:
    """All that are wanted, those of the configuration first, and what is wrong with some of them."""

    wanted: tuple[Service, ...]
    warnings: tuple[str, ...]


def read_services(job: Job, configured: Sequence[Mapping[str, Any]]) -> Services:
    """The services of a job; a name that was given away already is left out, with a warning."""
    taken: set[str] = set()
    wanted: list[Service] = []
    warnings: list[str] = []
    for entry in (*configured, *mappings(job.payload.raw.get("services"))):
        image = job.variables.expand(str(entry.get("name") or ""))
        aliases = job.variables.expand(str(entry.get("alias") or "")).replace(",", " ").split()
        try:
            default = () if is_image_id(image) else parse(image).host_names
        except InvalidReferenceError as error:
            warnings.append(f'Service "{image}" is left out, its name is no image name: {error}')
            continue
        names = list(dict.fromkeys((*default, *aliases)))
        warnings += [f'Service "{image}": the name {name} is taken' for name in names if name in taken]
        wanted.append(_service(job, entry, image, tuple(name for name in names if name not in taken)))
        taken.update(names)
    return Services(wanted=tuple(wanted), warnings=tuple(warnings))


def public_environment(job: Job) -> dict[str, str]:
    """The job's public variables: an engine shows what a container was given to all its clients."""
    public = {variable.key for variable in job.variables.variables if variable.public}
    return startable({key: value for key, value in job.variables.environment.items() if key in public})


def docker_options(entry: Mapping[str, Any], expand: Callable[[str], str]) -> tuple[str, str]:
    """User and platform, from the `docker` part of an image or service; empty where nothing is given."""
    options = entry.get("executor_opts")
    found = options.get("docker") if isinstance(options, Mapping) else None
    docker = found if isinstance(found, Mapping) else {}
    return expand(str(docker.get("user") or "")), expand(str(docker.get("platform") or ""))


def _service(job: Job, entry: Mapping[str, Any], image: str, names: tuple[str, ...]) -> Service:
    user, platform = docker_options(entry, job.variables.expand)
    return Service(
        image=image,
        names=names,
        command=texts(entry.get("command")),
        entrypoint=texts(entry.get("entrypoint")),
        environment=startable({**public_environment(job), **dict(_variables(job, entry))}),
        pull_policy=entry.get("pull_policy"),
        user=user,
        platform=platform,
    )


def _variables(job: Job, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those of the service itself; they may refer to all of the job's."""
    for variable in mappings(entry.get("variables")):
        value = str(variable.get("value") or "")
        yield str(variable.get("key")), value if variable.get("raw") else job.variables.expand(value)
