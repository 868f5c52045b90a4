"""Where the demo's hosts are, and the ledger in which they are counted: not the service's own."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Protocol

import attrs

from paas_runner.sandbox.server import Sandbox


@attrs.frozen(kw_only=True)
class HostSeen:
    """A host that exists or existed."""

    ref: str
    name: str
    launches: int = 1


@attrs.frozen(kw_only=True)
class HostLedger:
    """All hosts so far, as their provider knows them."""

    created: Sequence[HostSeen]
    left: Sequence[str]
    """What exists still, in words."""


def own_pipeline(name: str) -> str:
    """The text of a file of this package."""
    return files("paas_runner.demo").joinpath(name).read_text()


class Place(Protocol):
    """Where hosts are."""

    expected: Mapping[str, str]
    """How the jobs of the demo's own pipeline must end."""

    def description(self) -> str:
        """Where that is, for the audience."""

    def pipeline(self) -> str:
        """The demo's own pipeline for hosts of this kind."""

    def configuration(self) -> str:
        """The service's configuration; it contains secrets."""

    async def ledger(self) -> HostLedger:
        """Look once."""


class SandboxCloud:
    """The sandbox's Clever Cloud."""

    expected: Mapping[str, str] = {
        "compile": "success",
        "unit tests": "success",
        "broken": "failed",
        "large": "success",
        "unknown flavor": "failed",
        "report": "success",
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def description(self) -> str:
        """The API's address."""
        return f"cloud at {self._sandbox.cloud_api_url}"

    def pipeline(self) -> str:
        """Six jobs, some of which ask for a flavor."""
        return own_pipeline("pipeline.yml")

    def configuration(self) -> str:
        """The sandbox's own, in the pace of a demo, with a log that a program reads."""
        paced = self._sandbox.configuration.replace("check_interval = 1\n", "check_interval = 0.5\n")
        return f'log_format = "json"\n{paced}\n[runners.paas_job_trace_watch]\npoll_step = 0.3\n'

    async def ledger(self) -> HostLedger:
        """From the cloud's own ledger."""
        ledger = self._sandbox.cloud.ledger
        return HostLedger(
            created=[
                HostSeen(ref=entry.app_id, name=entry.name, launches=entry.launches)
                for entry in ledger.created
            ],
            left=[f"host {entry.app_id} ({entry.name})" for entry in ledger.alive],
        )
