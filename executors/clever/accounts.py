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

    async def groups(self) -> Sequence[Group]:
        """All who are meant to pay for hosts; raises `Transient` or `Rejected`."""

    async def aclose(self) -> None:
        """Close connections."""


class OneAccount:
    """Single-organisation mode: all tenants are one."""

    def __init__(self, settings: CleverSettings, connect: Connect) -> None:
        token = settings.cc_token or Secret("")
        api = CleverApi(
            settings.cc_api_url, organisation=settings.cc_orga_id or "", token=token, connect=connect
        )
        self._account = Account(token=token, api=api)

    async def use(
        self,
        group: Group,  # noqa: ARG002 - one account for all
        work: Callable[[Account], Awaitable[T]],
        *,
        organisation: str = "",  # noqa: ARG002 - it has one only
        afresh: bool = False,  # noqa: ARG002 - it is in the configuration
    ) -> T:
        """Do `work` with the only account."""
        return await work(self._account)

    async def groups(self) -> Sequence[Group]:
        """All pay alike."""
        return [EVERYBODY]

    async def aclose(self) -> None:
        await self._account.api.aclose()


class TenantAccounts:
    """Multi-tenant mode: each top-level group has an organisation of its own."""

    def __init__(self, settings: CleverSettings, tenants: Tenants, connect: Connect) -> None:
        self._url = settings.cc_api_url
        self._tenants = tenants
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
        credentials = await self._tenants.credentials(group, afresh=afresh)
        try:
            return await work(self._account(credentials, organisation))
        except Rejected as error:
            if error.status not in _REFUSED:
                raise
            self._tenants.forget(group, credentials)
            renewed = await self._tenants.credentials(group)
            if renewed == credentials:
                raise
            return await work(self._account(renewed, organisation))

    async def groups(self) -> Sequence[Group]:
        """The groups that have one of the attributes."""
        return await self._tenants.groups()

    async def aclose(self) -> None:
        for account in self._accounts.values():
            await account.api.aclose()
        await self._tenants.aclose()

    def _account(self, credentials: TenantCredentials, organisation: str) -> Account:
        key = organisation or credentials.organisation, credentials.token, credentials.group
        if key not in self._accounts:
            api = CleverApi(self._url, organisation=key[0], token=key[1], connect=self._connect)
            self._accounts[key] = Account(token=key[1], api=api, group=credentials.group)
        return self._accounts[key]
