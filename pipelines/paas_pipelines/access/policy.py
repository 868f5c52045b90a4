"""All statements of a server, as whoever answers a request asks them."""

from collections.abc import Iterable, Sequence

import attrs

from paas_pipelines.access import resources
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.people import People
from paas_pipelines.access.statements import READ, Statement, Verdict, authorize

_HIDDEN = ("pipeline", "task", "log", "trigger")
"""What whoever may not read it does not learn of."""


class ForbiddenError(Exception):
    """Somebody may not do something; the text tells who and what.

    With `hidden` whoever asks must not even learn that it is there: answer as if it were not.
    """

    def __init__(self, identity: Identity, method: str, resource: str, *, hidden: bool) -> None:
        super().__init__(f"{str(identity) or 'nobody'} may not {method} {resource}")
        self.identity = identity
        self.method = method
        self.resource = resource
        self.hidden = hidden


@attrs.define(eq=False)
class Access:
    """One for a server; what it decides is by the statements that are in force then."""

    statements: tuple[Statement, ...] = ()
    people: People = People()
    """Which identities are the same person's."""

    def replace(self, statements: tuple[Statement, ...], people: People = People()) -> None:  # noqa: B008
        """From now on these are in force."""
        self.statements, self.people = statements, people

    @classmethod
    def open(cls) -> "Access":
        """Nobody is named: a good token reads, starts, approves."""
        return cls()

    @property
    def is_open(self) -> bool:
        """Whether nobody is named, so that whoever has a token sees everything."""
        return not any(each.names_people for each in self.statements)

    def may(self, identity: Identity, method: str, *asked: str) -> Verdict:
        """Whether all of these resources are permitted."""
        return authorize(self.statements, identity, method, asked)

    def require(self, identity: Identity, method: str, *asked: str) -> None:
        """Raises `ForbiddenError`."""
        for resource in asked:
            if not self.may(identity, method, resource).allowed:
                kind = resource.partition("=")[0]
                hidden = kind in _HIDDEN and not self.may(identity, READ, resource).allowed
                raise ForbiddenError(identity, method, resource, hidden=hidden)

    def readable(self, identity: Identity, pipelines: Iterable[str]) -> Sequence[str]:
        """Those of these pipelines that somebody may see."""
        return [name for name in pipelines if self.reads(identity, name)]

    def reads(self, identity: Identity, pipeline: str) -> bool:
        """Whether somebody may see a pipeline and its runs."""
        return self.may(identity, READ, resources.pipeline(pipeline)).allowed
