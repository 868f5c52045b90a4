"""Through which organisation, and with which token, a tenant's hosts are managed.

An account is never used for another tenant. When the cloud refuses its credentials they are looked up once
more, and the call is repeated if they have really changed.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import attrs

from executors.clever.api import CleverApi
from executors.clever.groups import Group
from executors.clever.settings import CleverSettings
from executors.clever.tenants import TenantCredentials, Tenants
from paas_runner.errors import Rejected
from paas_runner.http import Connect
from paas_runner.secret import Secret

T = TypeVar("T")

EVERYBODY = Group("")
"""Whose account is used where all pay alike."""

_REFUSED = (401, 403)


@attrs.frozen(kw_only=True)
class Account:
    """One organisation, seen with one token."""

    token: Secret
    api: CleverApi
    group: int | None = None
    """The coordinator's id of the group that pays, where each pays for itself."""


class CloudAccounts(Protocol):
    """The accounts of all tenants of one `[[runners]]` section."""

    async def use(
        self,
        group: Group,
        work: Callable[[Account], Awaitable[T]],
        *,
        organisation: str = "",
        afresh: bool = False,
    ) -> T:
        """Do `work` with the group's account; in `organisation`, where its host was made, if that is known.

        With `afresh` nothing that was read before counts, for a group that may be another one by now.
        Raises `TenantError` for a tenant without credentials, and whatever `work` raises.
        """

    async def groups(self, *, complete: bool = False) -> Sequence[Group]:
        """All who are meant to pay for hosts, or those alone who could; raises `Transient` or `Rejected`."""

    def follow(self, other: "CloudAccounts") -> None:
        """The credentials of the same section after a reload: use them from now on, too."""

    async def aclose(self) -> None:
        """Close connections."""


class OneAccount:
    """Single-organisation mode: all tenants are one. A newer token is tried first, an older one after it."""

    def __init__(self, settings: CleverSettings, connect: Connect) -> None:
        self.url = settings.cc_api_url
        self._organisation = settings.cc_orga_id or ""
        self._connect = connect
        self._accounts = [self._account(settings.cc_token or Secret(""))]

    async def use(
        self,
        group: Group,  # noqa: ARG002 - one account for all
        work: Callable[[Account], Awaitable[T]],
        *,
        organisation: str = "",  # noqa: ARG002 - it has one only
        afresh: bool = False,  # noqa: ARG002 - it is in the configuration
    ) -> T:
        """Do `work` with the only account."""
        *newer, oldest = self._accounts
        for account in newer:
            try:
                return await work(account)
            except Rejected as error:
                if error.status not in _REFUSED:
                    raise
        return await work(oldest)

    async def groups(self, *, complete: bool = False) -> Sequence[Group]:  # noqa: ARG002 - one account for all
        """All pay alike."""
        return [EVERYBODY]

    def follow(self, other: CloudAccounts) -> None:
        """A token goes to no other cloud than the one that it was configured for."""
        if isinstance(other, OneAccount) and other.url == self.url:
            new = [token for token in other.tokens if token not in self.tokens]
            self._accounts = [*map(self._account, new), *self._accounts]

    @property
    def tokens(self) -> Sequence[Secret]:
        """The newest first."""
        return [account.token for account in self._accounts]

    async def aclose(self) -> None:
        for account in self._accounts:
            await account.api.aclose()

    def _account(self, token: Secret) -> Account:
        api = CleverApi(self.url, organisation=self._organisation, token=token, connect=self._connect)
        return Account(token=token, api=api)


class TenantAccounts:
    """Multi-tenant mode: each top-level group has an organisation of its own."""

    def __init__(self, settings: CleverSettings, tenants: Tenants, connect: Connect) -> None:
        self.url = settings.cc_api_url
        self.tenants = tenants
        self._connect = connect
        self._accounts: dict[tuple[str, Secret, int], Account] = {}

    async def use(
        self,
        group: Group,
        work: Callable[[Account], Awaitable[T]],
        *,
        organisation: str = "",
        afresh: bool = False,
    ) -> T:
        """Do `work` with the group's credentials, or with its new ones if these are refused."""
        credentials = await self.tenants.credentials(group, afresh=afresh)
        try:
            return await work(self._account(credentials, organisation))
        except Rejected as error:
            if error.status not in _REFUSED:
                raise
            self.tenants.forget(group, credentials)
            renewed = await self.tenants.credentials(group)
            if renewed == credentials:
                raise
            return await work(self._account(renewed, organisation))

    async def groups(self, *, complete: bool = False) -> Sequence[Group]:
        """The groups that have one of the attributes, or both."""
        return await self.tenants.groups(complete=complete)

    def follow(self, other: CloudAccounts) -> None:
        """What reads the attributes may have been replaced; they themselves are read anew in any case."""
        if isinstance(other, TenantAccounts) and other.url == self.url:
            self.tenants.follow(other.tenants)

    async def aclose(self) -> None:
        for account in self._accounts.values():
            await account.api.aclose()
        await self.tenants.aclose()

    def _account(self, credentials: TenantCredentials, organisation: str) -> Account:
        key = organisation or credentials.organisation, credentials.token, credentials.group
        if key not in self._accounts:
            api = CleverApi(self.url, organisation=key[0], token=key[1], connect=self._connect)
            self._accounts[key] = Account(token=key[1], api=api, group=credentials.group)
        return self._accounts[key]
