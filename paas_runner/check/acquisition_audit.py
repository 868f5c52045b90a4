"""Whether the tokens of `[runners.paas_acquisition_audit]` would do; nothing is canceled for it."""

from collections.abc import Sequence

from paas_runner.config import Runner
from paas_runner.coordinator.audit import GitLabAuditor
from paas_runner.errors import Rejected, RemoteError
from paas_runner.executor.checks import CheckResult, fault, fine, warning
from paas_runner.http import Connect
from paas_runner.service.assembly import auditor_of

_SUBJECT = "acquisition audit"
_CANCELS = "api"
"""The scope of GitLab's tokens with which jobs may be canceled and retried."""


async def audit_check(runner: Runner, connect: Connect, system_id: str) -> Sequence[CheckResult]:
    """Nothing where no audit is configured; raises OSError for certificates that cannot be read."""
    auditor = auditor_of(runner, connect, system_id)
    if auditor is None:
        return []
    try:
        return [await _listing(auditor), *([await _canceling(auditor)] if auditor.cancels else [])]
    finally:
        await auditor.aclose()


async def _listing(auditor: GitLabAuditor) -> CheckResult:
    try:
        believed = await auditor.running()
        apart = await auditor.tells_machines_apart()
    except RemoteError as error:
        return fault(_SUBJECT, f"`token` cannot list the runner's jobs: {error}", _advice(error))
    jobs = f"{len(believed.jobs)}{'' if believed.complete else ' or more'}"
    text = f"`token` lists the runner's running jobs: {jobs}"
    if apart:
        return fine(_SUBJECT, text)
    advice = "let no other machine use this runner's token; what seems to be lost is told, and not canceled"
    return warning(_SUBJECT, f"{text}; the coordinator does not tell the runner's machines apart", advice)


async def _canceling(auditor: GitLabAuditor) -> CheckResult:
    """By the token's scopes: in which projects its user may cancel only shows where it is done."""
    try:
        scopes = await auditor.scopes()
    except RemoteError as error:
        return fault(_SUBJECT, f"`cancel_token` cannot be used: {error}", _advice(error))
    if scopes is None:
        return warning(_SUBJECT, "the coordinator does not tell what `cancel_token` may do")
    if _CANCELS in scopes:
        return fine(_SUBJECT, "`cancel_token` may cancel and retry (scope api), where its user may")
    told = ", ".join(sorted(scopes))[:200]
    return fault(
        _SUBJECT, f"`cancel_token` may not cancel: its scopes are {told}", "make one with the scope api"
    )


def _advice(error: RemoteError) -> str:
    if isinstance(error, Rejected) and error.status in (401, 403, 404):
        return (
            "is the token good (401)? It needs the scope read_api (cancel_token: api), of somebody who may "
            "see the runner's jobs: an owner or maintainer of its group or project, an administrator"
        )
    return "is `url` right, and does the coordinator run?"
