"""Whether a helper service answers, for `paas-runner check` and for registration; nothing is launched."""

from collections.abc import Iterator, Sequence

from executors.helper.contract import Availability, TokenRefusedError
from executors.helper.opening import PLAIN, Place
from paas_runner.addresses import ListenPlace
from paas_runner.errors import RemoteError
from paas_runner.executor.checks import CheckResult, fault, fine, warning
from paas_runner.http import Connect

WHICH_TOKEN = "`paas-runner-helper-token` must be the helper's own HEPTAPOD_PAAS_RUNNER_TOKEN"  # noqa: S105
WHERE = (
    "is the helper service started, and does it listen as `paas-runner-helper-host` and "
    "`paas-runner-helper-http1` say?"
)


async def looked_at(place: Place, connect: Connect) -> Availability:
    """Whether it takes a job; raises `RemoteError`."""
    client = place.opened(connect)
    try:
        return await client.can_take_job()
    finally:
        await client.aclose()


async def examine(place: Place, connect: Connect) -> Sequence[CheckResult]:
    """What it says, and how safely it is asked."""
    try:
        found = await looked_at(place, connect)
    except RemoteError as error:
        return [fault("helper", str(error), WHICH_TOKEN if isinstance(error, TokenRefusedError) else WHERE)]
    return [_state(place, found), *_safety(place)]


def _state(place: Place, found: Availability) -> CheckResult:
    by = "HTTP/1" if place.http1 else "gRPC"
    if found.told.unclean:
        text = f"{place.service} could not remove what a job has left, and takes no other"
        return fault("helper", text, "start it anew, on a clean machine if possible")
    if not found.takes:
        return warning("helper", f"{place.service} answers by {by}, and takes no job now: it may have one")
    return fine("helper", f"{place.service} answers by {by}, and takes a job")


def _safety(place: Place) -> Iterator[CheckResult]:
    if place.address.scheme == PLAIN and not ListenPlace(host=place.address.host).on_loopback:
        yield warning(
            "way to the helper",
            "jobs and their tokens go over the network in the clear",
            "put TLS before it, and https:// into `paas-runner-helper-host`",
        )
    if place.token is None:
        text = "no token: whoever reaches it can have it run anything"
        yield warning("token of the helper", text, WHICH_TOKEN)
