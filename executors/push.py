"""What an executor needs of a push; kept apart from git, so that a simulation needs none."""

from collections.abc import Mapping
from typing import Protocol

import attrs

from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Identity:
    """Who a pushed commit is by: its author and committer."""

    name: str
    email: str


class Push(Protocol):
    """Publishes a tree as the only commit of a remote's `master`; repeating it changes nothing."""

    async def __call__(
        self, tree: Mapping[str, bytes], url: str, *, user: str, password: Secret, identity: Identity
    ) -> None:
        """Return once the remote has this tree or had one before; raise `Transient` or `Rejected`."""
