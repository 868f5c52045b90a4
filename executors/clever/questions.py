"""What registration asks for `clever-docker`, and how it checks the answers at once."""

from collections.abc import Sequence
from contextlib import aclosing

import attrs

from executors.clever.accounts import EVERYBODY, Account, CloudAccounts, OneAccount, TenantAccounts
from executors.clever.api import Application
from executors.clever.catalogue import Catalogue
from executors.clever.groups import Group, GroupsApi
from executors.clever.refusals import SERVICE
from executors.clever.settings import CleverSettings
from executors.clever.tenants import TenantError, Tenants
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.questions import (
    AnswerKind,
    AnswerRefusedError,
    Choice,
    Question,
    QuestionContext,
    names_an_image,
)

_MOST_NAMED = 5
_WHY = {
    401: "Clever Cloud does not know this token: it was copied incompletely, revoked, or has expired",
    403: "Clever Cloud takes this token for another organisation: token and `cc_orga_id` do not fit",
    404: "Clever Cloud knows no such organisation: is `cc_orga_id` right?",
}


def _settings(context: QuestionContext) -> CleverSettings:
    """Those that both executors have; another one's own are beside them."""
    return CleverSettings(**{key: value for key, value in context.settings.items() if key in _DEFAULTS})


def _one_organisation(context: QuestionContext) -> bool:
    return not _settings(context).cc_multi_tenant


def _several_tenants(context: QuestionContext) -> bool:
    return _settings(context).cc_multi_tenant


def _one_zone(context: QuestionContext) -> bool:
    return not _settings(context).cc_zones


async def _is_organisation(_: QuestionContext, answer: str) -> str:
    if not answer.isascii() or "/" in answer or " " in answer:
        raise AnswerRefusedError("this is no id of an organisation: the console shows it, orga_… or user_…")
    return ""


async def _opens_organisation(context: QuestionContext, _: str) -> str:
    settings = _settings(context)
    async with aclosing(OneAccount(settings, context.connect)) as accounts:
        try:
            applications = await accounts.use(EVERYBODY, _applications)
        except Rejected as error:
            text = _WHY.get(error.status or 0, str(error))
            again = "cc_orga_id" if error.status in (403, 404) else ""
            raise AnswerRefusedError(text, again=again) from error
    return f"{settings.cc_orga_id} opens; applications in it: {len(applications)}"


async def _reads_attributes(context: QuestionContext, _: str) -> str:
    settings = _settings(context)
    tenants = Tenants(settings, GroupsApi(settings, context.section, context.connect))
    async with aclosing(TenantAccounts(settings, tenants, context.connect)) as accounts:
        try:
            groups = await accounts.groups()
        except Rejected as error:
            raise AnswerRefusedError(
                "the coordinator does not show the attributes of groups for this token: it must be an "
                f"administrator's, with the scope `api` ({error.text})"
            ) from error
        if not groups:
            return (
                f"no group has the attribute `{settings.cc_orga_id_attribute}` or "
                f"`{settings.cc_orga_token_attribute}` yet: no job can be run before one has both"
            )
        failing = [text for group in groups if (text := await _failing(accounts, group))]
    opening, failures = len(groups) - len(failing), "".join(f"\n  {text}" for text in failing[:_MOST_NAMED])
    return f"groups that pay: {len(groups)}, of which organisations open: {opening}{failures}"


async def _failing(accounts: CloudAccounts, group: Group) -> str:
    """Why no account pays for the group's jobs; empty when its organisation opens."""
    try:
        await accounts.use(group, _applications)
    except TenantError as error:
        return str(error)
    except RemoteError as error:
        return f"{group.path}: {_WHY.get(error.status or 0, str(error))}"
    return ""


async def _applications(account: Account) -> Sequence[Application]:
    return await account.api.applications()


async def _zones(context: QuestionContext) -> Sequence[Choice]:
    """The public ones, and those in which the organisation has an application already."""
    settings = _settings(context)
    async with aclosing(Catalogue(settings, context.connect)) as catalogue:
        public = [Choice(value=zone) for zone in await catalogue.zones()]
    if settings.cc_multi_tenant:
        return public
    async with aclosing(OneAccount(settings, context.connect)) as accounts:
        used = {each.zone for each in await accounts.use(EVERYBODY, _applications)}
    own = sorted(used - {each.value for each in public} - {""})
    return [*public, *(Choice(value=zone, note="your own") for zone in own)]


async def _flavors(context: QuestionContext) -> Sequence[Choice]:
    settings = _settings(context)
    async with aclosing(Catalogue(settings, context.connect)) as catalogue:
        offer = await catalogue.offer()
    if not offer.flavors:
        raise Transient(
            f"no flavors on offer in the context {settings.cc_flavor_context}",
            service=SERVICE,
            op="list the flavors",
        )
    return [
        Choice(value=flavor.name, note=f"{flavor.memory_mib / 1024:g} GiB")
        for flavor in offer.flavors.values()
    ]


_DEFAULTS = {field.name: field.default for field in attrs.fields(CleverSettings)}

QUESTIONS: Sequence[Question] = (
    Question(
        key="cc_multi_tenant",
        prompt="Does each top-level group pay for its own jobs (multi-tenant)?",
        kind=AnswerKind.YES_NO,
        default="no",
    ),
    Question(
        key="cc_orga_id",
        prompt="Id of the Clever Cloud organisation that pays (orga_…)",
        wanted=_one_organisation,
        check=_is_organisation,
    ),
    Question(
        key="cc_token",
        prompt="API token of that organisation",
        kind=AnswerKind.SECRET,
        wanted=_one_organisation,
        check=_opens_organisation,
    ),
    Question(
        key="cc_gitlab_namespace_attributes_token",
        prompt="Administrator's token at the coordinator, to read the groups' attributes",
        kind=AnswerKind.SECRET,
        wanted=_several_tenants,
        check=_reads_attributes,
    ),
    Question(
        key="cc_zone",
        prompt="Where hosts run, best near the coordinator",
        default=_DEFAULTS["cc_zone"],
        wanted=_one_zone,
        choices=_zones,
    ),
    Question(
        key="cc_default_flavor",
        prompt="Size of a host when the job names none",
        default=_DEFAULTS["cc_default_flavor"],
        choices=_flavors,
    ),
    Question(
        key="docker.image",
        prompt="Image of jobs that name none",
        default="debian:12",
        check=names_an_image,
    ),
    Question(key="cc_extra_env.CC_ENABLE_HEPTAPOD_RUNNER", default="true"),  # core-features.md H071
)
