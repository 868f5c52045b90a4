"""Jobs at helpers of any kind: begun once, looked at, and what is told of those that are lost."""

import asyncio

import attrs
import structlog

from executors.build_context import inner_configuration, job_text
from executors.helper.contract import HelperClient, Sighting
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.helper.protocol import JobKey, LaunchRequest
from paas_runner.job.failure import RETRY, fact_sheet
from paas_runner.job.tracked import Host

log = structlog.stdlib.get_logger(__name__)

INSTANCE, RUNNER_NAME = "instance", "runner_name"
"""Notes of a host: which start of its machine it is; the runner's name there, if not the section's."""


@attrs.frozen(kw_only=True)
class Lost:
    """A job that cannot go on at its helper."""

    happened: str
    """Continues "The host of this job …"."""

    cause: str

    @property
    def account(self) -> str:
        """For the job's author."""
        facts = {"Likely cause": self.cause, "What to do": RETRY}
        return f"The host of this job {self.happened}.\n{fact_sheet(facts)}"


def key_of(section: RunnerSection, host: Host, job_id: int) -> JobKey:
    """What the helper knows the job by."""
    return JobKey(host.details.get(RUNNER_NAME, section.short_token), job_id)


def launch_request(
    request: HostRequest, section: RunnerSection, host: Host, *, authority_file: str
) -> LaunchRequest:
    """Raises `Rejected` and `JobRefusedError` as the functions of `build_context` do."""
    return LaunchRequest(
        job=key_of(section, host, request.payload.job_id),
        specification=job_text(request.payload),
        config=inner_configuration(section, authority_file=authority_file, trace=request.trace),
    )


async def launch(client: HelperClient, wanted: LaunchRequest, host: Host) -> None:
    """Begin the job, unless it is there: a helper that has no instance would begin it again."""
    instance = host.details.get(INSTANCE, "")
    if not instance and await client.status(wanted.job):
        log.info("launched_before")
        return
    await client.launch(wanted, instance=instance)


async def lost(client: HelperClient, job: JobKey, host: Host, *, look_again_after: float) -> Lost | None:
    """What became of a launched job that does not run there any more, by two looks."""
    if _verdict(await client.status(job), host) is None:
        return None
    await asyncio.sleep(look_again_after)
    return _verdict(await client.status(job), host)


def silence(seen: Sighting | None, host: Host) -> str:
    """What is known of a job that wrote nothing to its trace, for its author."""
    verdict = _verdict(seen, host)
    facts = {
        "Helper service": f"it {verdict.happened}" if verdict else "it runs the job",
        "Likely cause": verdict.cause if verdict else "the inner runner there does not reach the coordinator",
        "What to do": RETRY,
    }
    return fact_sheet(facts)


def _verdict(seen: Sighting | None, host: Host) -> Lost | None:
    instance = host.details.get(INSTANCE, "")
    if seen is None or (instance and seen.told.instance not in {"", instance}):
        return Lost(
            happened="was started anew, and knows the job no more",
            cause="its machine broke down and was replaced, or its helper service ended",
        )
    if seen.status.running:
        return None
    code = seen.status.exit_code
    return Lost(
        happened=f"ended the job (exit code {code}) before the coordinator heard of its end",
        cause="the inner runner on it failed, or did not reach the coordinator",
    )
