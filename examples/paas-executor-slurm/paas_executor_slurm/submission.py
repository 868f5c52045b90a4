"""What is submitted: the arguments of sbatch, and the script that it reads from standard input. Pure.

Neither has a secret. The script waits until its CI job lies in the host's folder, and begins it: once for
each name, whatever Slurm starts anew and however many were submitted, since a folder is made only once.
"""

import math
import shlex
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from paas_executor_slurm.settings import Flavor, SlurmSettings
from paas_runner.job.lifetime import MARGIN

UNSEEN, BEGUN_BEFORE, NOT_LAUNCHED = 72, 73, 75
"""Exit codes of the script itself: no folder, no turn, no job."""


def minutes(timeout: timedelta, settings: SlurmSettings) -> int:
    """The time limit, at which Slurm ends what is left of the job, whoever is alive."""
    return math.ceil((timeout + MARGIN + settings.launch_within) / timedelta(minutes=1))


def arguments(
    name: str, *, comment: str, folder: Path, limit: int, settings: SlurmSettings, flavor: Flavor | None
) -> Sequence[str]:
    """For sbatch; `limit` is in minutes.

    The environment goes along whole, since `programs` has made it: for NONE and for a list Slurm 22.05 would
    have a login shell on the node make another one.
    """
    chosen = {
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "cpus-per-task": flavor and flavor.cpus,
        "mem": flavor and flavor.memory_mib,
        "job-name": name,
        "comment": comment,
        "time": limit,
        "chdir": folder,
        "output": f"{folder}/output-%j.log",
    }
    fixed = ["--parsable", "--export=ALL", "--no-requeue", "--nodes=1", "--ntasks=1", "--open-mode=append"]
    return [*fixed, *(f"--{option}={value}" for option, value in chosen.items() if value)]


def script(name: str, folder: Path, settings: SlurmSettings) -> str:
    """For any POSIX shell."""
    return f"""#!/bin/sh
# The host {name} of PaaS Runner: it waits for its job, and begins it once.
umask 077
unset SLURM_TIME_FORMAT
folder={shlex.quote(str(folder))}
look="$folder/look-$SLURM_JOB_ID"
rmdir "$look" 2>/dev/null
looks=0
until [ -e "$folder/launched-$SLURM_JOB_ID" ]; do
    [ $looks -lt {2 * math.ceil(settings.launch_within.total_seconds())} ] || exit {NOT_LAUNCHED}
    looks=$((looks + 1))
    # A client of NFS looks at a folder anew once it has changed the folder itself.
    mkdir "$look" && rmdir "$look" || exit {UNSEEN}
    sleep 0.5
done
mkdir "$folder/started" || exit {BEGUN_BEFORE}
cd "$folder" && mkdir -p tmp || exit {UNSEEN}
export TMPDIR="$folder/tmp"
{settings.setup}
exec {shlex.join(settings.inner_command)} exec-fetched-job --config runner.toml job.json
"""
