"""`paas-runner explain`: what happened to one job, why, and what will be done about it next."""

import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from paas_runner.config import ConfigError
from paas_runner.config.load import state_path
from paas_runner.control import ControlError, NotRunningError
from paas_runner.errors import Exit
from paas_runner.inquiry.live import asked
from paas_runner.inquiry.screen import tell
from paas_runner.job.wording import describe_history
from paas_runner.service.assembly import store_path
from paas_runner.status.report import to_data
from paas_runner.status.stored import stored_explanations
from paas_runner.status.views import Explanation, format_explanation
from paas_runner.store import StoreError
from paas_runner.store.snapshot import histories

_WANTED = re.compile(r"(?:(?P<runner>[^/]+)/|hpd-job-(?P<host_of>.+)-)?(?P<job>\d{1,18})")


@attrs.frozen(kw_only=True)
class Wanted:
    """Which job: its id, and its runner's short token if that was said."""

    job_id: int
    runner: str | None


def wanted(text: str) -> Wanted:
    """The job that `42`, `abc123xyz/42` or `hpd-job-abc123xyz-42` means; raises ValueError."""
    found = _WANTED.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is no job: 42, RUNNER/42 or hpd-job-RUNNER-42 is')
    return Wanted(job_id=int(found["job"]), runner=found["runner"] or found["host_of"])


def explain(path: Path, job: str, *, as_json: bool) -> int:
    """Print what is known of a job; returns the exit code."""
    try:
        found = _explanations(path, wanted(job))
    except ValueError as error:
        return _refused(error, Exit.USAGE)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    except (StoreError, ControlError) as error:
        return _refused(error, Exit.STATE if isinstance(error, StoreError) else Exit.FAILED)
    if not found:
        return _refused(f"nothing is known of job {job}: it was never here, or long ago", Exit.FAILED)
    if as_json:
        text = json.dumps([to_data(explanation) for explanation in found], indent=2)
    else:
        text = "\n\n".join(map(format_explanation, found))
    tell(text)
    return Exit.OK


def _explanations(path: Path, job: Wanted) -> Sequence[Explanation]:
    """Tracked jobs as the service knows them, or its store when it is down; then those that are gone."""
    try:
        tracked = asked(path, {"ask": "explain", "job": job.job_id}, Explanation)
    except NotRunningError:
        tracked = stored_explanations(path, job.job_id)
    now = datetime.now(UTC)
    gone = histories(store_path(state_path(path, os.environ)), job.job_id)
    found = [
        *tracked,
        *(
            Explanation(at=now, key=key, job=None, history=describe_history(entries))
            for key, entries in gone.items()
        ),
    ]
    return [explanation for explanation in found if job.runner in {None, explanation.key.runner}]


def _refused(why: object, code: Exit) -> Exit:
    print(f"paas-runner explain: {why}", file=sys.stderr)
    return code
