"""Who may ask the cloud for something: organisations by tokens of their own, users by OAuth (§1.2).

Identifiers come from an injected source of randomness, so that a run can be repeated.
"""

import random
import uuid
from collections.abc import Callable
from datetime import datetime

import attrs

from paas_runner.secret import Secret


class Identifiers:
    """Makes identifiers in the platform's forms: a prefix such as `app_`, and a uuid."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def new(self, prefix: str = "") -> str:
        return f"{prefix}{uuid.UUID(int=self._rng.getrandbits(128), version=4)}"


@attrs.frozen(kw_only=True)
class Organisation:
    """Who is billed; its tokens open the API for it alone, and are the git password."""

    id: str
    name: str
    user_id: str
    tokens: frozenset[Secret]


@attrs.frozen(kw_only=True)
class OAuthKeys:
    """What an OAuth client signs with: the pair of its program, the consumer, and the pair of its user."""

    consumer_key: str
    consumer_secret: Secret
    token: Secret
    token_secret: Secret


@attrs.frozen(kw_only=True)
class User:
    """A person, whose keys open the API for every organisation that the person is a member of."""

    id: str
    name: str
    keys: OAuthKeys
    member_of: frozenset[str]
    created_at: datetime


class Organisations:
    """The organisations and users of one cloud."""

    def __init__(self, identifiers: Identifiers, clock: Callable[[], datetime]) -> None:
        self._identifiers = identifiers
        self._clock = clock
        self._organisations: dict[str, Organisation] = {}
        self._users: dict[str, User] = {}

    def add_organisation(self, name: str, *tokens: Secret) -> Organisation:
        """A new organisation that the given tokens may act for."""
        organisation = Organisation(
            id=self._identifiers.new("orga_"),
            name=name,
            user_id=self._identifiers.new("user_"),
            tokens=frozenset(tokens),
        )
        self._organisations[organisation.id] = organisation
        return organisation

    def add_user(self, name: str, keys: OAuthKeys, *member_of: str) -> User:
        """A new user, member of the organisations with these ids and of the personal space (§2.1)."""
        user_id = self._identifiers.new("user_")
        space = Organisation(id=user_id, name=name, user_id=user_id, tokens=frozenset())
        self._organisations[space.id] = space
        self._users[user_id] = User(
            id=user_id,
            name=name,
            keys=keys,
            member_of=frozenset({user_id, *member_of}),
            created_at=self._clock(),
        )
        return self._users[user_id]

    def replace_tokens(self, organisation_id: str, *tokens: Secret) -> None:
        """Only these tokens act for the organisation from now on; what they have created stays."""
        organisation = self._organisations[organisation_id]
        self._organisations[organisation_id] = attrs.evolve(organisation, tokens=frozenset(tokens))

    def organisation_with(self, token: Secret) -> Organisation | None:
        """The organisation that a token may act for."""
        return next((each for each in self._organisations.values() if token in each.tokens), None)

    def user_with(self, token: Secret) -> User | None:
        """The user whom an OAuth token was issued to; that alone proves nothing."""
        return next((each for each in self._users.values() if each.keys.token == token), None)

    def organisations_of(self, user: User) -> tuple[Organisation, ...]:
        """Those that a user may act for, oldest first; the personal space is the one with the user's id."""
        return tuple(each for each in self._organisations.values() if each.id in user.member_of)
