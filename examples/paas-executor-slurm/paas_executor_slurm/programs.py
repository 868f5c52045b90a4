"""Slurm's own programs: a time limit, an environment of ours, and what their errors mean."""

import asyncio
import os
import pwd
import re

from paas_runner.errors import Rejected, RemoteError, Transient

CALL_SECONDS = 60
"""A program waits for its controller for MessageTimeout, 10 s usually, and for the backup's, too."""

_REFUSED = re.compile(
    r"invalid (?!authentication)|denied|not permitted|can not be satisfied|configuration is not available"
    r"|violates accounting",
    re.IGNORECASE,
)
"""The words of slurm_errno.c for what no repetition changes."""

_PASSES = re.compile(r"Submit\w*Limit|inactive or drain")
"""A bound on what is submitted at once, a partition that is closed for a while."""


def failure(program: str, op: str, stderr: str) -> RemoteError:
    """What it means; whatever is not known to be a refusal may be worth another try."""
    text = re.sub(r"^\w+: (?:error|fatal): ", "", stderr, flags=re.MULTILINE)
    text = "; ".join(filter(None, map(str.strip, text.splitlines()))) or "no word"
    if program == "sbatch" and _REFUSED.search(text) and not _PASSES.search(text):
        advice = "ask the operators of this runner: Slurm takes no such job from it"
        return Rejected(text, service="Slurm", op=op, advice=advice)
    return Transient(text, service="Slurm", op=op)


def environment() -> dict[str, str]:
    """Of the programs, and of the Slurm jobs, which get it from sbatch.

    Nothing else of the service's own: SBATCH_ACCOUNT or SQUEUE_FORMAT would change what is meant. Times are
    written in seconds since 1970.
    """
    user = pwd.getpwuid(os.getuid())
    known = {key: os.environ[key] for key in ("PATH", "SLURM_CONF") if key in os.environ}
    names = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    return {**known, **names, "LANG": "C.UTF-8", "SLURM_TIME_FORMAT": "%s"}


async def call(op: str, program: str, *arguments: str, stdin: str = "") -> str:
    """Its output. Raises `Transient`, and `Rejected` where it is refused or the program is not there."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment()
        )
    except FileNotFoundError as error:
        text, advice = f"there is no program {program}", "install slurm-client, or set PATH for the service"
        raise Rejected(text, service="Slurm", op=op, advice=advice) from error
    except OSError as error:
        raise Transient(f"{program}: {error.strerror}", service="Slurm", op=op) from error
    try:
        async with asyncio.timeout(CALL_SECONDS):
            output, errors = await process.communicate(stdin.encode())
    except TimeoutError as error:
        text = f"{program} has not answered within {CALL_SECONDS} s"
        raise Transient(text, service="Slurm", op=op) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise failure(program, op, errors.decode(errors="replace"))
    return output.decode(errors="replace")
