"""What an executor needs of a push; kept apart from git, so that a simulation needs none."""

from collections.abc import Mapping
from typing import Protocol

from paas_runner.secret import Secret


class Push(Protocol):
    """Publishes a tree as the only commit of a remote's `master`; repeating it changes nothing."""

    async def __call__(self, tree: Mapping[str, bytes], url: str, *, user: str, password: Secret) -> None:
        """Return once the remote has this tree or had one before; raise `Transient` or `Rejected`."""
