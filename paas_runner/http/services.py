"""What the services that are called are called themselves, in messages, and of which kind each of them is.

The kind follows from the name, so that a name is all that errors, figures and answers have to carry. Names
are made here; an executor's own, such as `Clever Cloud`, is that of a cloud.
"""

import enum
from urllib.parse import urlsplit


class ServiceKind(enum.StrEnum):
    """What depends on a service."""

    COORDINATOR = "coordinator"
    CLOUD = "cloud"
    GIT = "git"
    RECEIVER = "receiver"
    """Of traces or notices: no job depends on it."""

    HOST = "host"
    """A program on one of our own hosts: one job depends on it."""


_COORDINATOR = "coordinator "
_GIT = "git remote "
_RECEIVER = "receiver of "
HELPER_OF_A_HOST = "host's helper service"
"""All of them by one name: there are as many as hosts."""


def coordinator_at(url: str) -> str:
    """The name of a coordinator; `url` as the configuration has it."""
    return f"{_COORDINATOR}{url}"


def git_remote_at(url: str) -> str:
    """The name of a git remote: by its host alone, since an address may have credentials."""
    return f"{_GIT}{urlsplit(url).hostname}"


def receiver_of(what: str) -> str:
    """The name of who gets traces or notices."""
    return f"{_RECEIVER}{what}"


def kind_of(service: str) -> ServiceKind:
    """By its name."""
    beginnings = {
        _COORDINATOR: ServiceKind.COORDINATOR,
        _GIT: ServiceKind.GIT,
        _RECEIVER: ServiceKind.RECEIVER,
        HELPER_OF_A_HOST: ServiceKind.HOST,
    }
    return next((kind for begin, kind in beginnings.items() if service.startswith(begin)), ServiceKind.CLOUD)
