"""By what somebody is known, and which identities the settings say are one person's; pure.

Whoever counts people compares these marks, never names as they are shown. There are those that somebody has
vouched for: an identity, the number that the log-in's provider has given it for good, and the sender of a
delivery, as the system tells whose signature covers what it says. The sender is a stranger until the settings
name him. What is merely `said`, a name out of a payload, is nobody's: it may keep somebody from deciding, and
never shows that somebody else is another person.
"""

from collections.abc import Iterable, Mapping

import attrs

from paas_pipelines.access.identity import Identity

HOOK = "hook:"
"""Before a sender as the settings have him: `hook:CREDENTIAL/NAME`."""

_IDENTITY, _SUBJECT, _SAID, _PERSON = "identity:", "subject:", "said:", "person:"


def marks_of(identity: Identity) -> tuple[str, ...]:
    """Of whoever has been vouched for; none where there is no name."""
    subject = (f"{_SUBJECT}{identity.domain}#{identity.subject}",) if identity.subject else ()
    return (*mark_of_name(str(identity)), *subject) if identity.name else ()


def mark_of_name(written: str) -> tuple[str, ...]:
    """Of an identity as it is written; none without one."""
    return (f"{_IDENTITY}{written}",) if written else ()


def mark_of_sender(credential: str, name: str) -> str:
    """Of whom deliveries tell that this credential proves; there, capitals make no difference."""
    return f"{HOOK}{credential}/{name.casefold()}"


def mark_of_hearsay(name: str) -> str:
    """Of a name that nobody vouches for."""
    return f"{_SAID}{name}"


@attrs.frozen
class People:
    """`[pipelines.people]`: the person by mark."""

    persons: Mapping[str, str] = attrs.field(factory=dict)

    def all_marks(self, marks: Iterable[str]) -> frozenset[str]:
        """With the persons they belong to; hearsay is as good as a name: what follows is a refusal."""
        found = {
            f"{_IDENTITY}{each.removeprefix(_SAID)}" if each.startswith(_SAID) else each for each in marks
        }
        return frozenset(found | {f"{_PERSON}{self.persons[each]}" for each in found if each in self.persons})

    def are_known(self, marks: Iterable[str]) -> bool:
        """Whether they tell who it is."""
        return any(
            each in self.persons if each.startswith(HOOK) else not each.startswith(_SAID) for each in marks
        )

    def person_of(self, identity: Identity) -> str:
        """Empty where the settings do not name this one."""
        return next((self.persons[each] for each in marks_of(identity) if each in self.persons), "")

    def of_person(self, person: str) -> list[str]:
        """Everything that the settings say is this one's, as it is written there."""
        return [mark.removeprefix(_IDENTITY) for mark, name in self.persons.items() if name == person]


def same(marks: frozenset[str], others: frozenset[str]) -> bool:
    """Whether they are one person's; both are of `all_marks`."""
    return not marks.isdisjoint(others)


def person_in(marks: Iterable[str]) -> str:
    """The person that marks have on record; empty without one."""
    return next((each.removeprefix(_PERSON) for each in marks if each.startswith(_PERSON)), "")
