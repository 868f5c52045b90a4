"""`paas-runner demo`."""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from paas_runner.commands import output, progress
from paas_runner.commands.command import Command
from paas_runner.errors import Exit, MissingPackagesError, RunnerError, UsageError

if TYPE_CHECKING:
    from paas_runner.demo import JobStory, Verdict

_COLUMNS = ("job", "result", "flavor", "provision", "launch", "boot", "run", "remove", "total")
_STATUS_STYLES = {"success": "green", "failed": "red"}

_EPILOG = """\
exit codes:
  0  all jobs and hosts are accounted for
  1  they are not; the reason is printed
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pipeline", type=Path, metavar="FILE", help="a .gitlab-ci.yml of your own to run")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document at the end, nothing else"
    )
    parser.add_argument(
        "--executor",
        choices=("clever-docker", "local-docker"),
        default="clever-docker",
        help="where hosts are: in the sandbox's cloud, or on this machine's Docker engine, $DOCKER_HOST or "
        "the standard socket (default: %(default)s)",
    )
    parser.add_argument(
        "--image",
        default="paas-runner-inner",
        help="image of hosts on a Docker engine, made by packaging/images/build (default: %(default)s)",
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help=(
            "serve the service's page on loopback, too: its address is printed, and on a terminal it stays "
            "until Enter is pressed"
        ),
    )
    parser.add_argument(
        "--ha",
        action="store_true",
        help=(
            "two services that share a PostgreSQL database; the one that works is killed in the middle "
            "(needs Debian's package postgresql, whose own server need not run)"
        ),
    )


def _call(arguments: argparse.Namespace) -> int:
    if arguments.ha and arguments.page:
        raise UsageError("--page shows one service, and --ha starts two: leave out one of them")
    if shutil.which("git") is None:
        raise RunnerError("the program `git` was not found on PATH: install it, jobs are launched by a push")
    try:
        from paas_runner.demo import run
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error) from error
    if arguments.ha:
        _need_postgres()
    with closing(_view(as_json=arguments.json)) as view:
        try:
            verdict = run(
                arguments.pipeline,
                view,
                executor=arguments.executor,
                image=arguments.image,
                page=arguments.page,
                pair=arguments.ha,
            )
        except KeyboardInterrupt:
            view.close()
            print("paas-runner demo: interrupted; everything it started is stopped", file=sys.stderr)
            raise
    return Exit.FAILED if verdict.problems else Exit.OK


def _need_postgres() -> None:
    """What the two services would lack is told before anything is started."""
    try:
        import_module("paas_runner.store.postgres")
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, extra="postgres", wanted_by="`--ha`") from error


def _view(*, as_json: bool) -> "Lines | Document":
    if as_json:
        return Document()
    return Screen() if output.is_terminal(sys.stdout) else Lines()


class Lines:
    """Lines that scroll."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._show: Callable[..., None] = output.show

    def say(self, text: str) -> None:
        self._line(output.Painted(text, "bold"))

    def phase(self, story: "JobStory", before: "JobStory") -> None:
        """Which phase, and how long the one before took."""
        took = story.seconds.get(before.phase)
        where = f", on {story.host} ({story.flavor})" if story.phase == "provisioned" else ""
        after = f" after {took:.1f} s {before.phase}" if took is not None else ""
        self._line(output.Painted(story.name, "cyan"), f": {story.phase}{after}{where}")

    def finished(self, story: "JobStory", trace: bytes) -> None:
        """The trace, if there is one, indented under the job's name."""
        from paas_runner.demo import as_author_sees_it

        status = output.Painted(story.status, _STATUS_STYLES.get(story.status, "yellow"))
        lines = as_author_sees_it(trace, colours=True)
        self._line(output.Painted(story.name, "cyan"), ": ", status, "; its log:" if lines else "")
        for line in lines:
            self._show(("          │ ", output.Coloured(line)))

    def tick(self, stories: "Iterable[JobStory]") -> None:
        """What scrolled by stays."""

    def end(self, stories: "Sequence[JobStory]", verdict: "Verdict") -> None:
        """A table and a last line."""
        self._show("", output.Table(head=_COLUMNS, rows=[_row(story) for story in stories]), "")
        for problem in verdict.problems:
            self._show(output.Painted(f"✗ {problem}", "red"))
        if verdict.takeover_seconds is not None:
            self._show(f"  the other service had taken over {verdict.takeover_seconds:.1f} s after kill -9")
        counts = (
            f"jobs: {verdict.jobs}, hosts created: {verdict.hosts_created}, hosts left: {verdict.hosts_left}"
        )
        if verdict.problems:
            self._show(output.Painted(f"✗ the promise was not kept ({counts})", "red"))
        else:
            self._show(output.Painted(f"✓ all jobs accounted for ({counts})", "green"))

    def close(self) -> None:
        """Nothing is left to be taken away."""

    def _line(self, *pieces: output.Piece) -> None:
        clock = f"[{time.monotonic() - self._began:5.1f} s]"
        self._show((output.Painted(clock, "dim"), " ", *pieces))


class Screen(Lines):
    """Lines that scroll above a board that shows where each job is right now."""

    def __init__(self) -> None:
        super().__init__()
        self._board = progress.Board(sys.stdout)
        self._show = self._board.show

    def tick(self, stories: "Iterable[JobStory]") -> None:
        self._board.draw(["", *map(self._state, stories)])

    def end(self, stories: "Sequence[JobStory]", verdict: "Verdict") -> None:
        self.close()
        super().end(stories, verdict)

    def close(self) -> None:
        self._board.clear()

    def _state(self, story: "JobStory") -> output.Line:
        match story.phase:
            case "waiting":
                mark = output.Painted("·", "dim")
            case "gone" if story.status == "success":
                mark = output.Painted("✓", "green")
            case "gone":
                mark = output.Painted("✗", "red")
            case _:
                mark = output.Painted(self._board.turning, "cyan")
        return "  ", mark, f" {story.name:<18} {story.phase:<16} {story.flavor:<4} {story.host}"


class Document:
    """Silence, then one JSON document."""

    def __init__(self) -> None:
        self._course: list[str] = []
        self._traces: dict[int, str] = {}

    def say(self, text: str) -> None:
        self._course.append(text)

    def phase(self, story: "JobStory", before: "JobStory") -> None:
        """The story has it."""

    def finished(self, story: "JobStory", trace: bytes) -> None:
        from paas_runner.demo import as_author_sees_it

        self._traces[story.job_id] = "\n".join(as_author_sees_it(trace, colours=False))

    def tick(self, stories: "Iterable[JobStory]") -> None:
        """Nothing is shown yet."""

    def end(self, stories: "Sequence[JobStory]", verdict: "Verdict") -> None:
        output.show_json(
            {
                "jobs": [
                    attrs.asdict(story) | {"log": self._traces.get(story.job_id, "")} for story in stories
                ],
                "course": self._course,
                "hosts": {"created": verdict.hosts_created, "left": verdict.hosts_left},
                **(
                    {}
                    if verdict.takeover_seconds is None
                    else {"takeover_seconds": round(verdict.takeover_seconds, 1)}
                ),
                "problems": list(verdict.problems),
                "verdict": "failed" if verdict.problems else "kept",
            }
        )

    def close(self) -> None:
        """The document is complete, or is not printed."""


def _row(story: "JobStory") -> Sequence[str]:
    """The job, how it ended, and where the time went."""

    def spent(*phases: str) -> str:
        seconds = [story.seconds[phase] for phase in phases if phase in story.seconds]
        return f"{sum(seconds):.1f} s" if seconds else "-"

    result = story.status
    if story.status == "failed":
        detail = f"exit code {story.exit_code}" if story.exit_code else story.failure_reason
        result = f"failed ({detail})"
    return (
        story.name,
        result,
        story.flavor or "-",
        spent("acquired", "provisioning"),
        spent("provisioned", "launching"),
        spent("launched"),
        spent("running"),
        spent("failing", "decommissioning"),
        f"{story.total:.1f} s" if story.seconds else "-",
    )


COMMAND = Command(
    name="demo",
    help="see real jobs run by the real service, without an account anywhere",
    description=(
        "Start a sandbox on loopback (a coordinator, a cloud, hosts that run scripts on this machine), "
        "start the service on it,\nsubmit a pipeline, restart the service in the middle, and account for "
        "every job and every host. With --ha\ntwo services share a database, and one of them is killed."
    ),
    epilog=_EPILOG,
    arguments=_arguments,
    call=_call,
)
