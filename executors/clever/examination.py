"""Whether Clever Cloud would provide hosts: the offer, the zones, and who is meant to pay.

For `paas-runner check`: everything is read, nothing is created. The texts are for the operators.
"""

import asyncio
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from executors.clever.accounts import Account, CloudAccounts
from executors.clever.api import Application
from executors.clever.catalogue import Catalogue, choose, sizes, why_not
from executors.clever.groups import Group
from executors.clever.offer import Offer
from executors.clever.settings import CleverSettings
from executors.clever.tenants import TenantError
from executors.clever.watch import SHORTEST_SECRET
from paas_runner.errors import Rejected, RemoteError
from paas_runner.executor.checks import CheckResult, Grade, fault, fine, warning
from paas_runner.executor.contract import JobRefusedError, RunnerSection
from paas_runner.job.tracked import host_name_prefix

ACCOUNTS_AT_ONCE = 8

_ADVICE: Mapping[int, str] = {
    401: "the token is unknown, revoked or expired: put a valid one into {token}",
    403: "the token is good for another organisation: {token} and {organisation} do not fit",
    404: "are `cc_api_url` and {organisation} right?",
}
_WHICH_ADMINISTRATOR = (
    "`cc_gitlab_namespace_attributes_token` must be an administrator's, with the scope `api`"
)


async def examine(
    settings: CleverSettings, section: RunnerSection, *, catalogue: Catalogue, accounts: CloudAccounts
) -> Sequence[CheckResult]:
    """Look at everything side by side."""
    offer, public, (of_accounts, applications) = await asyncio.gather(
        _offer(settings, catalogue), _public_zones(catalogue), _paying(settings, section, accounts)
    )
    seen = [*_environment(settings), *of_accounts]
    if isinstance(public, CheckResult):
        return [*offer, public, *seen]
    known = {*public, *(application.zone for application in applications)}
    zones = [_zones("zones", settings.zones, public, known)]
    zones += [
        _zones(f"zones of {tag}", hosts.places, public, known)
        for tag, hosts in settings.tags.items()
        if hosts.places
    ]
    return [*offer, *zones, *seen]


def _environment(settings: CleverSettings) -> Iterator[CheckResult]:
    """Hosts get it, and whoever may read a tenant's applications at the provider reads it there."""
    telling = [name for name, value in settings.cc_extra_env.items() if len(value) >= SHORTEST_SECRET]
    if settings.cc_multi_tenant and telling:
        text = f"all members of each tenant's organisation can read {', '.join(telling)} of `cc_extra_env`"
        yield warning("environment", text, "give hosts nothing there that tenants must not know")


# --- flavors and zones ------------------------------------------------------------------------------------


async def _offer(settings: CleverSettings, catalogue: Catalogue) -> Sequence[CheckResult]:
    try:
        offer = await catalogue.offer()
    except RemoteError as error:
        return [fault("flavors", str(error), "is `cc_api_url` right?")]
    results = [*_variant(settings, offer), *_flavors(settings, offer)]
    tags = [*_of_tags(settings, offer)]
    if any(result.grade is Grade.FAULT for result in results):
        return [*results, *tags]
    most = f", at most {settings.cc_max_flavor}" if settings.cc_max_flavor else ""
    text = f"{', '.join(offer.flavors)}; {settings.cc_default_flavor} by default{most}"
    return [fine("flavors", text), *results, *tags]


def _variant(settings: CleverSettings, offer: Offer) -> Iterator[CheckResult]:
    if not offer.variant_listed:
        given = settings.cc_instance_variant_uuid
        yield fault(
            "instance type",
            f"`cc_instance_variant_uuid` = {given} is not on offer",
            "leave it at its default",
        )


def _flavors(settings: CleverSettings, offer: Offer) -> Iterator[CheckResult]:
    listed = ", ".join(offer.flavors)
    if not listed:
        nothing = f'none in the context "{settings.cc_flavor_context}" begins with "{settings.flavor_prefix}"'
        yield fault("flavors", nothing, "are `cc_flavor_context` and `cc_flavor_name_prefix` right?")
        return
    default, largest = settings.cc_default_flavor, settings.cc_max_flavor
    if default not in offer.flavors:
        text = f'`cc_default_flavor` = "{default}" is not on offer'
        yield fault("flavors", text, f"choose one of {listed}")
    if largest and largest in offer.unavailable:
        text = f'`cc_max_flavor` = "{largest}" is not available at present; nothing larger is allowed'
        yield warning("flavors", text, f"available are {listed}")
    elif largest and largest not in offer.flavors:
        text = f'`cc_max_flavor` = "{largest}" is not on offer, so nothing larger than the default is allowed'
        yield fault("flavors", text, f"choose one of {listed}")
    weights = {name: flavor.weight for name, flavor in offer.flavors.items()}
    if weights.get(default, 0.0) > weights.get(largest or "", math.inf):
        text = f'`cc_default_flavor` = "{default}" is larger than `cc_max_flavor` = "{largest}"'
        yield warning("flavors", text, "jobs that name no flavor get the largest that is allowed")
    absent = {each for others in settings.cc_flavor_fallback.values() for each in others} - weights.keys()
    if absent:
        text = f"`cc_flavor_fallback` leads to what is not on offer: {', '.join(sorted(absent))}"
        yield warning("flavors", text, f"choose from {listed}")


def _of_tags(settings: CleverSettings, offer: Offer) -> Iterator[CheckResult]:
    """The flavors in `[runners.tags]`: instead of one that cannot be had its jobs get no smaller one."""
    for tag, hosts in settings.tags.items():
        subject = f"flavor of {tag}"
        if hosts.flavor is None:
            continue
        try:
            yield fine(subject, ", ".join(each.name for each in choose(offer, None, settings, tag=tag)))
        except JobRefusedError:
            why = why_not(hosts.flavor, offer, settings)
            text = f'`flavor` = "{hosts.flavor}" of tag {tag} {why}: jobs with it are failed'
            listed = ", ".join(size.name for size in sizes(offer, settings))
            yield fault(subject, text, f"choose one of {listed}")


async def _public_zones(catalogue: Catalogue) -> Sequence[str] | CheckResult:
    try:
        return await catalogue.zones()
    except RemoteError as error:
        return warning("zones", f"not known to exist: {error}")


def _zones(subject: str, zones: Sequence[str], public: Sequence[str], known: Collection[str]) -> CheckResult:
    """A zone of one's own is in no `public` list, but may be `known` by an application in it."""
    unknown = [zone for zone in zones if zone not in known]
    if not unknown:
        return fine(subject, ", ".join(zones))
    grade = fault if len(unknown) == len(zones) else warning
    advice = (
        f"public zones are {', '.join(sorted(public))}; one of your own is known here once you have an "
        "application in it"
    )
    return grade(subject, f"unknown: {', '.join(unknown)}", advice)


# --- who pays ---------------------------------------------------------------------------------------------


async def _paying(
    settings: CleverSettings, section: RunnerSection, accounts: CloudAccounts
) -> tuple[Sequence[CheckResult], Sequence[Application]]:
    """A result for each account, and all applications that were seen."""
    try:
        groups = await accounts.groups()
    except RemoteError as error:
        return [fault("tenants", str(error), _WHICH_ADMINISTRATOR if isinstance(error, Rejected) else "")], ()
    if not groups:
        names = f"`{settings.cc_orga_id_attribute}` or `{settings.cc_orga_token_attribute}`"
        return [warning("tenants", f"no group has the attribute {names}", "no job can be run yet")], ()
    places = asyncio.Semaphore(ACCOUNTS_AT_ONCE)

    async def look(group: Group) -> tuple[CheckResult, Sequence[Application]]:
        async with places:
            return await _account(settings, section, accounts, group)

    looks = await asyncio.gather(*map(look, groups))
    return [result for result, _ in looks], [each for _, applications in looks for each in applications]


async def _account(
    settings: CleverSettings, section: RunnerSection, accounts: CloudAccounts, group: Group
) -> tuple[CheckResult, Sequence[Application]]:
    subject = f"tenant {group.path}" if group.path else "organisation"

    async def work(account: Account) -> tuple[str, Sequence[Application]]:
        return account.api.organisation, await account.api.applications()

    try:
        organisation, applications = await accounts.use(group, work)
    except TenantError as error:
        return fault(subject, str(error)), ()
    except RemoteError as error:
        return fault(subject, str(error), _advice(settings, error)), ()
    ours = sum(each.name.startswith(host_name_prefix(section.short_token)) for each in applications)
    text = f"{organisation} opens; applications: {len(applications)}, of them hosts of this runner: {ours}"
    return fine(subject, text), applications


def _advice(settings: CleverSettings, error: RemoteError) -> str:
    if not isinstance(error, Rejected):
        return "is `cc_api_url` right?"
    organisation, token = "`cc_orga_id`", "`cc_token`"
    if settings.cc_multi_tenant:
        organisation = f"`{settings.cc_orga_id_attribute}`"
        token = f"the group's attribute `{settings.cc_orga_token_attribute}`"
    return _ADVICE.get(error.status or 0, "").format(organisation=organisation, token=token)
