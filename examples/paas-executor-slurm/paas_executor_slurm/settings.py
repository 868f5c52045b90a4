"""The keys that `executor = "slurm"` adds to a `[[runners]]` section."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import attrs

from paas_runner.settings import setting


@attrs.frozen(kw_only=True)
class Flavor:
    """`[runners.flavors.NAME]`: one size of hosts; its CPUs are its weight."""

    cpus: int = setting("CPUs of a host.", default=1, minimum=1)
    memory_mib: int = setting("Memory of a host, in MiB.", minimum=1)


@attrs.frozen(kw_only=True)
class SlurmSettings:
    """What Slurm's jobs are to be like. Where Slurm is, $PATH and $SLURM_CONF of the service say."""

    shared_folder: Path = setting(
        "Folder that all nodes have under this name, too, for nobody but the service's user: jobs and their "
        "tokens are there."
    )
    partition: str = setting("Partition of the hosts; by default Slurm's own default.", default="")
    account: str = setting("Account that is charged; by default the user's own.", default="")
    qos: str = setting("Quality of service; by default the account's own.", default="")
    flavors: Mapping[str, Flavor] = setting(
        "Sizes of hosts; jobs that name none get the first. Without any, what Slurm gives.", factory=dict
    )
    queue_within: timedelta = setting(
        "How long a job may wait in Slurm's queue.", default=timedelta(hours=1), minimum=1
    )
    launch_within: timedelta = setting(
        "How long a node waits for its CI job, should the service be down.",
        default=timedelta(minutes=5),
        minimum=10,
        maximum=3600,
    )
    inner_command: Sequence[str] = setting(
        "The inner runner on the nodes, and what stands before it.", factory=lambda: ("paas-runner-inner",)
    )
    setup: str = setting("Lines of shell before the inner runner, `module load` for one.", default="")

    def problems(self) -> Iterable[tuple[str, str]]:
        """Contradictions, each with the key to point at."""
        if not self.shared_folder.is_absolute() or set("%\\\n\"'") & set(str(self.shared_folder)):
            yield "shared_folder", "an absolute path without quotes, backslashes and % is expected"
        if not self.inner_command:
            yield "inner_command", "the program is missing"
