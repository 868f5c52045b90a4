"""What the author of a CI job reads about its Slurm job: facts in, a few plain lines out. Pure."""

from collections.abc import Mapping, Sequence

from executors.host_log import log_state, quoted
from paas_executor_slurm.jobs import Ending
from paas_executor_slurm.submission import BEGUN_BEFORE, NOT_LAUNCHED, UNSEEN
from paas_runner.job.failure import RETRY, fact_sheet, reference

OPERATORS = "ask the operators of this runner"
MOST_LINES = 10
_NO_OUTPUT = 53  # what Slurm has for a signal where the file of --output could not be opened

_UNSEEN = ("its node does not see the shared folder, or may not write there", OPERATORS)
_BY_STATE: Mapping[str, tuple[str, str]] = {
    "": ("a person removed it, or Slurm has lost it", RETRY),
    "BOOT_FAIL": ("its node did not boot", RETRY),
    "CANCELLED": ("a person, or another program, canceled it", RETRY),
    "DEADLINE": ("it could not end before its deadline in Slurm", RETRY),
    "NODE_FAIL": ("its node failed", RETRY),
    "OUT_OF_MEMORY": ("the job needs more memory than its host has", "ask for a larger CI_SLURM_FLAVOR"),
    "PREEMPTED": ("a job of a higher priority took its node", RETRY),
    "TIMEOUT": ("it had not ended at its time limit in Slurm", RETRY),
}
_BY_CODE: Mapping[int, tuple[str, str]] = {
    69: ("its inner runner could not reach the coordinator any more", RETRY),
    UNSEEN: _UNSEEN,
    BEGUN_BEFORE: ("Slurm started it anew, and no job is run twice", RETRY),
    NOT_LAUNCHED: ("this runner was down when its node was ready", RETRY),
    78: ("its inner runner cannot use its configuration", OPERATORS),
    126: ("the inner runner on its node cannot be run", OPERATORS),
    127: ("its node does not have the inner runner (`inner_command`)", OPERATORS),
}
_UNKNOWN = ("the inner runner on it ended with an error, without a word to the coordinator", RETRY)


def explained(ending: Ending) -> tuple[str, str]:
    """The likely cause, and who can do what."""
    if ending.signal == _NO_OUTPUT:
        return _UNSEEN
    return _BY_STATE.get(ending.state) or _BY_CODE.get(ending.code, _UNKNOWN)


def words(ending: Ending) -> str:
    """What Slurm says, on one line."""
    if not ending.state:
        return "it does not know the job any more"
    more = {"by the user": ending.by, "exit code": ending.code, "signal": ending.signal}
    return ", ".join(
        [f"the job is {ending.state}", *(f"{key} {value}" for key, value in more.items() if value)]
    )


def sheet(said: str, why: tuple[str, str], ref: str, lines: Sequence[str], hidden: Sequence[str]) -> str:
    """All that is known, with the end of the node's log."""
    facts = {
        "Slurm": said,
        "Likely cause": why[0],
        "What to do": why[1],
        "Reference": reference(f"Slurm job {ref}"),
        "Its own log": log_state(lines),
    }
    return fact_sheet(facts) + quoted(lines[-MOST_LINES:], hidden)
