"""`paas-runner status`: how the service is, once or again and again."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from paas_runner.config import ConfigError
from paas_runner.control import ControlError, NotRunningError
from paas_runner.errors import Exit
from paas_runner.inquiry.live import asked
from paas_runner.inquiry.screen import redraw, tell
from paas_runner.status.report import ServiceState, StatusReport, to_data
from paas_runner.status.stored import stored_report
from paas_runner.status.views import changes, page
from paas_runner.store import StoreError

SECONDS_BETWEEN_LOOKS = 2.0


def status(path: Path, *, watch: bool, as_json: bool) -> int:
    """Print the report; returns the exit code. With `watch` until interrupted."""
    try:
        if watch:
            _watch(_looks(path), as_json=as_json)
            return Exit.OK
        found = _report(path)
    except KeyboardInterrupt:
        return Exit.OK
    except ConfigError as error:
        print(error, file=sys.stderr)
        return Exit.CONFIG
    except (StoreError, ControlError) as error:
        print(f"paas-runner status: {error}", file=sys.stderr)
        return Exit.STATE if isinstance(error, StoreError) else Exit.FAILED
    tell(json.dumps(to_data(found), indent=2) if as_json else page(found))
    return Exit.FAILED if found.service.state is ServiceState.DOWN else Exit.OK


def _report(path: Path) -> StatusReport:
    try:
        [found] = asked(path, {"ask": "status"}, StatusReport)
    except NotRunningError:
        return stored_report(path)
    return found


def _looks(path: Path) -> Iterator[StatusReport]:
    while True:
        yield _report(path)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _watch(looks: Iterator[StatusReport], *, as_json: bool) -> None:
    """A page that is drawn again on a terminal, a line for each change elsewhere, all in a line as JSON."""
    before = None
    for found in looks:
        if as_json:
            tell(json.dumps(to_data(found)))
        elif sys.stdout.isatty():
            redraw(f"{found.at:%H:%M:%S} UTC  {page(found)}")
        else:
            for line in changes(before, found):
                tell(line)
        before = found
