"""The job's definition as its host gets it: images of Docker Hub come through the group's Dependency Proxy.

The coordinator says where the proxy is, by a variable of the job. The job's image and its services from
Docker Hub get that prefix in front of their full name there; every other name stays as it was written.
Authors reach a service by names that GitLab Runner makes from its image (spec `gitlab-runner-api.md` §10.6),
so one that is renamed gets its former names as aliases; an alias of its own is kept as it is, and alone.
Several aliases are separated by spaces: GitLab Runner 15.8 and later splits them. An older one takes them for
one name, which Docker, linking containers, writes as it is into `/etc/hosts`, so that each of them works
there, too (not with `FF_NETWORK_PER_BUILD`); a comma would spoil both.

On the way the names are judged, but no job is refused here that GitLab Runner would run:

- A name is only decided where its variables have one value for us and for the inner runner. A variable that
  the payload does not define may be one of the inner runner's; files and secrets get their value there. With
  any of them, or with a `$` that is left after the expansion, the name is neither judged nor changed.
- An empty name stands for the inner runner's default image; the id of an image for one that the host has.
- A service whose name is invalid is left out by GitLab Runner, silently, unless it has an alias of its own.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.job.failure import Failure, FailureReason, JobRefusedError
from paas_runner.job.images import InvalidReferenceError, Reference, is_image_id, parse
from paas_runner.job.payload import Payload
from paas_runner.job.variables import Budget, BudgetExceededError, Variable, expand, value_of

PREFIX_VARIABLE = "CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX"
MOST_CHARACTERS = 32_768
"""Of all names of images in a job and of the variables in them, read and written: thousands of real ones."""

_LONGEST_QUOTE = 120


class ImageRefusedError(JobRefusedError):
    """The job names an image that cannot exist; `failure` is for its author, its text is the exception's."""


def through_dependency_proxy(payload: Payload) -> Mapping[str, Any]:
    """The payload's JSON with images from Docker Hub renamed; doing it twice changes nothing more.

    Raises `ImageRefusedError` for a name with which GitLab Runner would fail the job, and for names that are
    too long in all.
    """
    try:
        return _renamed(payload)
    except BudgetExceededError:
        text = (
            f"The job's images and services have names of more than {MOST_CHARACTERS} characters in all, "
            "variables in them included. Shorten `image` or `services` in the job's definition."
        )
        raise ImageRefusedError(Failure(reason=FailureReason.SCRIPT, text=text)) from None


def _renamed(payload: Payload) -> Mapping[str, Any]:
    raw = payload.raw
    rewriting = _Rewriting.of(payload)
    changed: dict[str, Any] = {}
    if isinstance(raw.get("image"), Mapping):
        changed["image"] = rewriting.image(raw["image"])
    if isinstance(raw.get("services"), list):
        changed["services"] = [
            rewriting.service(service, number) if isinstance(service, Mapping) else service
            for number, service in enumerate(raw["services"], start=1)
        ]
    return {**raw, **changed}


@attrs.frozen
class _Known:
    """The variables that have the same value for us and for the inner runner."""

    variables: Mapping[str, Variable]
    budget: Budget = attrs.field(factory=lambda: Budget(MOST_CHARACTERS))

    @classmethod
    def of(cls, payload: Payload) -> "_Known":
        known = {variable.key: variable for variable in payload.variables}
        secrets = payload.raw.get("secrets")
        resolved_there = set(secrets) if isinstance(secrets, Mapping) else set()
        return cls({k: found for k, found in known.items() if not found.file and k not in resolved_there})

    def expanded(self, text: str) -> str | None:
        """None when only the inner runner knows."""
        try:
            found = expand(text, self._value, self.budget)
        except KeyError:
            return None
        return None if "$" in found else found

    def _value(self, name: str) -> str:
        variable = self.variables[name]
        return variable.value if variable.raw else expand(variable.value, self._literal, self.budget)

    def _literal(self, name: str) -> str:
        return self.variables[name].value


@attrs.frozen(kw_only=True)
class _Rewriting:
    """What becomes of the images of one job."""

    payload: Payload
    known: _Known
    prefix: str
    """Empty where there is no proxy."""

    @classmethod
    def of(cls, payload: Payload) -> "_Rewriting":
        known = _Known.of(payload)
        prefix = known.expanded(f"${{{PREFIX_VARIABLE}}}") or ""
        return cls(payload=payload, known=known, prefix=prefix.strip().rstrip("/"))

    def image(self, image: Mapping[str, Any]) -> Mapping[str, Any]:
        name = self._decided(image)
        if name is None:
            return image
        try:
            renamed = self._renamed(parse(name))
        except InvalidReferenceError as error:
            raise self._refusal("The job's image", "image", image["name"], name, error) from error
        return {**image, "name": renamed} if renamed else image

    def service(self, service: Mapping[str, Any], number: int) -> Mapping[str, Any]:
        name, aliases = self._decided(service), self._aliases(service)
        if name is None:
            return service
        try:
            reference = parse(name)
        except InvalidReferenceError as error:
            if not aliases:
                return service
            what = f"The image of the job's service {number}"
            raise self._refusal(what, "services", service["name"], name, error) from error
        renamed = self._renamed(reference)
        if renamed is None:
            return service
        former = {"alias": " ".join(reference.host_names)} if aliases == [] else {}
        return {**service, "name": renamed, **former}

    def _decided(self, image: Mapping[str, Any]) -> str | None:
        """The expanded name, if it can be judged."""
        written = image.get("name")
        name = self.known.expanded(written) if isinstance(written, str) else None
        return None if not name or is_image_id(name) else name

    def _renamed(self, reference: Reference) -> str | None:
        """None for what does not come from Docker Hub, has the prefix, or could not have it."""
        if not self.prefix or not reference.from_docker_hub or reference.name.startswith(f"{self.prefix}/"):
            return None
        renamed = f"{self.prefix}/{reference.remote}"
        try:
            parse(renamed)
        except InvalidReferenceError:
            return None
        return renamed

    def _aliases(self, service: Mapping[str, Any]) -> list[str] | None:
        """The service's own; None when only the inner runner knows."""
        written = service.get("alias") or ""
        expanded = self.known.expanded(written) if isinstance(written, str) else None
        return None if expanded is None else expanded.replace(",", " ").split()

    def _refusal(
        self, what: str, key: str, written: str, name: str, error: InvalidReferenceError
    ) -> ImageRefusedError:
        origin = "" if written == name else f" (written {self._quoted(written)})"
        text = (
            f"{what}, {self._quoted(name)}{origin}, is no image name: {error}. "
            f"Correct `{key}` in the job's definition, or the variables in it."
        )
        return ImageRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))

    def _quoted(self, text: str) -> str:
        """For texts: masked before it is cut and escaped, because half a secret is not found any more."""
        variables = {variable.key: variable for variable in self.payload.variables}
        budget = Budget(MOST_CHARACTERS)
        secrets = [variable for variable in self.payload.variables if variable.masked]
        try:
            secrets += [attrs.evolve(secret, value=value_of(secret, variables, budget)) for secret in secrets]
        except BudgetExceededError:
            return "…"
        shown = Failure(reason=FailureReason.SCRIPT, text=text).masked(secrets).text
        if len(shown) > _LONGEST_QUOTE:
            shown = f"{shown[:_LONGEST_QUOTE]}…"
        return repr(shown)
