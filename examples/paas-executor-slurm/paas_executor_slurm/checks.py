"""What `paas-runner check` says: would Slurm take such jobs, is the shared folder fit. It makes nothing."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from paas_executor_slurm.programs import call
from paas_runner.errors import RemoteError
from paas_runner.executor.checks import CheckResult, Grade, fault, fine, warning

_SHARED = ("9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs", "gpfs", "lustre", "nfs", "ocfs", "virtiofs")
"""What the kinds of file systems begin with that several machines can have."""


async def examine(sizes: Mapping[str, Sequence[str]], folder: Path) -> Sequence[CheckResult]:
    """`sizes` are the arguments of sbatch for a job of each flavor."""
    results = [await _tried("Slurm", "--version")]
    is_there = results[0].grade is not Grade.FAULT  # else each size would only say the same
    for name, arguments in sizes.items() if is_there else ():
        results.append(await _tried(f"hosts, {name}", "--test-only", *arguments))
    return [*results, await asyncio.to_thread(folder_result, folder)]


async def _tried(subject: str, *arguments: str) -> CheckResult:
    try:
        said = await call("examine", "sbatch", *arguments, stdin="#!/bin/sh\n")
    except RemoteError as error:
        return fault(
            subject,
            error.text,
            error.advice or "is slurmctld up, and munged here? SLURM_CONF names another slurm.conf",
        )
    return fine(subject, said.strip() or "Slurm would take a job of an hour")


def folder_result(folder: Path) -> CheckResult:
    """Whether it is ours alone, and may be seen by the nodes. Blocking."""
    try:
        found = folder.stat()
        mounts = Path("/proc/self/mounts").read_text(errors="replace")
    except OSError as error:
        return fault("shared folder", f"{folder}: {error.strerror}", "make it for the service's user")
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        text = f"{folder} is open to others than the service's user, and jobs with their tokens are there"
        return fault("shared folder", text, "chown it to the service's user, chmod 0700")
    kind = file_system(folder.resolve(), mounts)
    if kind.startswith(_SHARED):
        return fine("shared folder", f"{folder}, on {kind}")
    text = f"{folder} is on {kind}, which nodes on other machines do not see"
    return warning("shared folder", text, "name a folder that all nodes have")


def file_system(folder: Path, mounts: str) -> str:
    """The kind of the one that the folder is on, by the text of /proc/self/mounts. Pure."""
    kinds = {Path(fields[1]): fields[2] for fields in map(str.split, mounts.splitlines())}
    return next(kinds[place] for place in (folder, *folder.parents) if place in kinds)
