"""The runners' tokens, shown to their coordinators."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from paas_runner.assembly import tls_of
from paas_runner.check_result import CheckResult, fault, fine, warning
from paas_runner.config import Runner
from paas_runner.coordinator.registration import Verified, verify
from paas_runner.errors import Rejected, RemoteError
from paas_runner.http import Connect

SUBJECT = "token"
SOON = timedelta(days=7)
_ADVICE = {
    403: "copy the runner's token again, or register the runner anew; is `url` the coordinator that gave it?",
    422: "register the runner anew",
}


async def token(
    runner: Runner, connect: Connect, *, system_id: str | None, now: datetime
) -> Sequence[CheckResult]:
    """Whether the coordinator is there and knows the runner."""
    try:
        verified = await verify(
            runner.url, token=runner.token, connect=connect, system_id=system_id, tls=tls_of(runner)
        )
    except RemoteError as error:
        return [fault(SUBJECT, str(error), _advice(error))]
    except OSError as error:
        return [fault("certificates", f"the tls-… files cannot be used: {error}")]
    number = f" as number {verified.runner_id}" if verified.runner_id else ""
    return [fine(SUBJECT, f"{runner.url} knows the runner{number}"), *_expiry(verified, now)]


def _advice(error: RemoteError) -> str:
    if isinstance(error, Rejected):
        return _ADVICE.get(error.status or 0, "")
    return "is `url` right, and does the coordinator run?"


def _expiry(verified: Verified, now: datetime) -> Sequence[CheckResult]:
    expiry = verified.expires_at
    if expiry is None or expiry - now > SOON:
        return []
    return [warning(SUBJECT, f"expires at {expiry:%Y-%m-%d %H:%M} UTC", "rotate it before then")]
