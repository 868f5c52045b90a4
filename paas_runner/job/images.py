"""Names of images: the grammar of `github.com/distribution/reference`, with Docker Hub's short names.

    reference = [domain "/"] path [":" tag] ["@" digest]

What stands before the first "/" is a domain when it contains "." or ":", is `localhost` or has a capital
letter. Every other name is Docker Hub's (`docker.io`, earlier `index.docker.io`), where a single word is one
of the official images, under `library/`. A name that is refused here is refused by Docker, too.

Sources: `regexp.go`, `normalize.go` and `reference.go` of that project, `algorithm.go` of
`github.com/opencontainers/go-digest`, and for the names of services gitlab-runner
`helpers/container/services/services.go`.
"""

import re

import attrs

from paas_runner.errors import RunnerError

DOCKER_HUB = "docker.io"
_FORMER_DOCKER_HUB = "index.docker.io"
_OFFICIAL = "library"

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])"
_WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_REFERENCE = re.compile(
    rf"(?:(?P<domain>{_HOST}(?::[0-9]+)?)/)?"
    rf"(?P<path>{_WORD}(?:/{_WORD})*)"
    r"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}))?"
    rf"(?:@(?P<digest>{_ALGORITHM}:[0-9a-fA-F]{{32,}}))?"
)
_LONGEST_PATH = 255
_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}

_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_FOREIGN = re.compile(r"[^A-Za-z0-9._:/@\[\]+-]")
_PORT = re.compile(r":[0-9]+(?=/|$)")


class InvalidReferenceError(RunnerError):
    """No name of an image; the text says why, and goes on after "… is no image name: "."""


@attrs.frozen(kw_only=True)
class Reference:
    """A valid name of an image."""

    name: str
    """As it was written, without tag and digest."""

    domain: str
    """The registry, normalised; empty for the odd name whose first part only looks like one."""

    path: str
    """The name in that registry, `library/` included."""

    tag: str = ""
    digest: str = ""

    @property
    def from_docker_hub(self) -> bool:
        """Whether Docker pulls it from its Hub."""
        return self.domain == DOCKER_HUB

    @property
    def remote(self) -> str:
        """What is asked of the registry, or of a proxy for it: path, tag and digest."""
        return self.path + (self.tag and f":{self.tag}") + (self.digest and f"@{self.digest}")

    @property
    def host_names(self) -> tuple[str, ...]:
        """By which names GitLab Runner lets a job reach a service of this image, in its order.

        The port of the registry is left out; "/" becomes "__", and "-" for a name that DNS allows.
        """
        host = _PORT.sub("", self.name, count=1)
        return tuple(dict.fromkeys(host.replace("/", separator) for separator in ("__", "-")))


def parse(text: str) -> Reference:
    """The reference that `text` is; raises `InvalidReferenceError`."""
    domain, remote = _split(text)
    found = _REFERENCE.fullmatch(f"{domain}/{remote}")
    if found is None or is_image_id(text):
        raise InvalidReferenceError(_complaint(text))
    tag, digest = found["tag"] or "", found["digest"] or ""
    if len(found["path"]) > _LONGEST_PATH:
        raise InvalidReferenceError(f"its path is longer than {_LONGEST_PATH} characters")
    if digest and not _is_sound(digest):
        raise InvalidReferenceError("its digest has not the form that its algorithm has")
    return Reference(
        name=text.removesuffix(f"@{digest}").removesuffix(f":{tag}"),
        domain=found["domain"] or "",
        path=found["path"],
        tag=tag,
        digest=digest,
    )


def is_image_id(text: str) -> bool:
    """Whether it is no name, but the id of an image that the machine has already."""
    return _IMAGE_ID.fullmatch(text) is not None


def _split(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        domain, remote = first, rest
    else:
        domain, remote = DOCKER_HUB, text
    if domain == _FORMER_DOCKER_HUB:
        domain = DOCKER_HUB
    if domain == DOCKER_HUB and "/" not in remote:
        remote = f"{_OFFICIAL}/{remote}"
    return domain, remote


def _is_sound(digest: str) -> bool:
    """Algorithms that are unknown here may be known to Docker."""
    algorithm, _, encoded = digest.partition(":")
    digits = _DIGITS.get(algorithm.lower())
    return digits is None or (len(encoded) == digits and digest == digest.lower())


def _complaint(text: str) -> str:
    if not text:
        return "it is empty"
    if foreign := _FOREIGN.search(text):
        return "it contains a space" if foreign[0] == " " else f"it contains {foreign[0]!r}"
    if is_image_id(text):
        return "it is the id of an image"
    if _REFERENCE.fullmatch("/".join(_split(text.lower()))):
        return "its path must be in lower case"
    return "it has not the form [registry[:port]/]name[:tag][@digest]"
