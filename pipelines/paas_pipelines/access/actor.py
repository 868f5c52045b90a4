"""Who has started a run, and how: kept with the run, so that the statements can be asked of it later, too.

Groups are those of the moment of the start. They are bounded: of whoever has more, the first are kept, and
every Deny that names a group is taken to be about him.
"""

import enum

import attrs

from paas_pipelines.access.identity import TRIGGER, Identity, trigger_identity

MOST_GROUPS = 256
MOST_GROUP_LETTERS = 8_192
"""Of all groups together."""


class Way(enum.StrEnum):
    """By which a run was started."""

    PAGE = "page"
    API = "API"
    COMMAND = "command"  # as the program says of itself: that proves nothing
    PROGRAM = "program"  # that embeds the server
    TRIGGER = "trigger"
    SCHEDULE = "schedule"
    CALL = "call"


@attrs.frozen(kw_only=True)
class Actor:
    """One."""

    identity: Identity
    way: Way
    causes: tuple[str, ...] = ()
    """Of a trigger: marks of whoever has caused it, as `people` has them."""

    def calling(self) -> "Actor":
        """The same, of a run that a run of his calls."""
        return attrs.evolve(self, way=Way.CALL)


def actor_of(identity: Identity, way: Way) -> Actor:
    """With as many groups as are kept."""
    kept: list[str] = []
    letters = 0
    for group in identity.groups:
        letters += len(group)
        if len(kept) == MOST_GROUPS or letters > MOST_GROUP_LETTERS:
            identity = attrs.evolve(identity, groups=tuple(kept), groups_missing=True)
            break
        kept.append(group)
    return Actor(identity=identity, way=way)


def actor_of_trigger(trigger: str, way: Way, causes: tuple[str, ...] = ()) -> Actor:
    """Of what a trigger, `<pipeline>/<trigger>`, starts by itself, whatever name its `user` gives."""
    return Actor(identity=trigger_identity(trigger), way=way, causes=causes)


def before_actors(user: str, trigger: str, caller: str) -> Actor:
    """Of a run that an older version has recorded: a name alone is known, and of a called run not even whose.

    Nobody's groups are known, and what `user` a trigger gave proves nothing.
    """
    if trigger:
        return actor_of_trigger(trigger, Way.TRIGGER)
    if caller or user.startswith(f"{TRIGGER}/"):
        return Actor(identity=Identity("", groups_missing=True), way=Way.CALL)
    domain, slash, name = user.partition("/")
    identity = Identity(name, domain=domain) if slash else Identity(user)
    return Actor(identity=attrs.evolve(identity, groups_missing=True), way=Way.API)
