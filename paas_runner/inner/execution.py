"""One job from its first line to its last: all stages in order, and what may end them early (§10.1)."""

import asyncio
import contextlib
import platform
from collections.abc import Callable

import attrs
import structlog

from paas_runner import __version__
from paas_runner.inner.ending import (
    SUCCEEDED,
    Ending,
    Reason,
    Result,
    StageError,
    StateUpdate,
    broken,
    exited,
)
from paas_runner.inner.helper import AFTER_FAILURE, AFTER_SUCCESS, BEFORE_SCRIPTS, Helper, Stage
from paas_runner.inner.job import TOO_LONG, Job
from paas_runner.inner.job_script import JobScripts, Script
from paas_runner.inner.process import RunningProgram
from paas_runner.inner.settings import GitStrategy, Timings
from paas_runner.inner.shell import Shell
from paas_runner.inner.stop import Interrupted, Stop, Stops
from paas_runner.inner.trace import Narrator, Trace
from paas_runner.job.use import HostFlavors, Use
from paas_runner.job.variables import BudgetExceededError

log = structlog.stdlib.get_logger(__name__)

_BACKOFF = 1.5


@attrs.frozen(kw_only=True)
class Execution:
    """What is needed to run one job."""

    job: Job
    scripts: JobScripts
    shell: Shell
    helper: Helper
    trace: Trace
    narrator: Narrator
    timings: Timings
    stops: Stops
    flavors: HostFlavors | None = None
    """What the author may be told of, if the host was far too large."""

    tell: Callable[[Use], None] = lambda _use: None
    """Is told what the job has used, before the coordinator knows that it has ended."""

    async def run(self) -> StateUpdate:
        """Run all of it; returns what is to be reported to the coordinator."""
        began = asyncio.get_running_loop().time()
        self._introduction()
        try:
            with self.stops.whole.after(self.job.payload.timeout.total_seconds()):
                ending = await self._stages()
        except StageError as error:
            ending = error.ending
        except Interrupted as interrupted:
            ending = interrupted.ending
        except BudgetExceededError:
            ending = broken(TOO_LONG, Reason.CONFIGURATION)
        except OSError as error:  # a full disk, say
            ending = broken(str(error))
        except Exception as error:
            log.exception("inner_error", job=self.job.payload.job_id)
            ending = broken(f"unexpected error in the runner: {type(error).__name__}")
        use = self.shell.tally.use(asyncio.get_running_loop().time() - began)
        if use is not None:
            self.tell(use)
        self._conclusion(ending, use)
        return ending.state_update(self.job.failure_reasons)

    async def _stages(self) -> Ending:
        async with contextlib.AsyncExitStack() as stack:
            title = f'Preparing the "{self.shell.executor}" executor'
            with self.narrator.section("prepare_executor", title):
                if self.job.unsupported:
                    raise StageError(
                        broken(f"{self.job.unsupported} are not supported", Reason.CONFIGURATION)
                    )
                if self.job.workspace.refusal:
                    raise StageError(broken(self.job.workspace.refusal, Reason.CONFIGURATION))
                prepared = self.shell.prepared(self.job, self.narrator)
                async with self.stops.whole.limit():
                    await stack.enter_async_context(prepared)
            with self.narrator.section("prepare_script", "Preparing environment"):
                self.narrator.line(f"Running on {platform.node()}...")
            ending = await self._before_scripts()
            if ending.result is Result.SUCCESS:
                ending = await self._scripts()
            good = ending.result is Result.SUCCESS
            late = await self._after_scripts(AFTER_SUCCESS if good else AFTER_FAILURE)
            return late if good else ending

    async def _before_scripts(self) -> Ending:
        try:
            for stage in BEFORE_SCRIPTS:
                await self._attempt(stage)
        except StageError as error:
            return error.ending
        return SUCCEEDED

    async def _attempt(self, stage: Stage) -> None:
        """Run a stage as often as its variable allows, with growing backoff; raises the last `StageError`."""
        if not self.helper.has(stage):
            return
        attempts = self.job.settings.attempts.get(stage.attempts or "", 1)
        backoff = self.timings.stage_backoff
        for attempt in range(1, attempts + 1):
            try:
                with self.narrator.section(stage.section, stage.title):
                    await self._stage(stage)
            except StageError:
                if attempt == attempts:
                    raise
                self.narrator.line(f"Retrying in {backoff:g}s")
                async with self.stops.whole.limit():
                    await asyncio.sleep(backoff)
                backoff *= _BACKOFF
                if stage is Stage.GET_SOURCES and attempt == 1:
                    await self._attempt(Stage.CLEAR_WORKTREE)
            else:
                return

    async def _stage(self, stage: Stage) -> None:
        hooked = stage is Stage.GET_SOURCES and self.job.settings.git_strategy is not GitStrategy.NONE
        if hooked:
            await self._hook(self.scripts.before_sources)
        async with self.stops.whole.limit():
            await self.helper.run(stage)
        if hooked:
            await self._hook(self.scripts.after_sources)

    async def _hook(self, script: Script | None) -> None:
        if script is not None:
            ending = await self._run_script(script, self.stops.whole)
            if ending.result is not Result.SUCCESS:
                raise StageError(ending)

    async def _scripts(self) -> Ending:
        """The steps, the first failure ends them; then after_script, which has the result."""
        ending = SUCCEEDED
        with self.stops.while_scripts_run() as stop, stop.after(self.job.settings.script_seconds):
            for script in self.scripts.steps:
                with self.narrator.section(script.name, f'Executing "{script.name}" stage of the job script'):
                    ending = await self._run_script(script, stop)
                if ending.result is not Result.SUCCESS:
                    break
        if ending.result is Result.CANCELED:
            self.narrator.warning("script canceled externally (UI, API)")
        after_script = self.scripts.after_script
        if after_script is None or ending.result is Result.BROKEN:
            return ending
        return await self._after_script(after_script.knowing(ending.result), ending)

    async def _after_script(self, script: Script, ending: Ending) -> Ending:
        """Within its own limit; its failure changes nothing unless a variable says so (§10.1)."""
        stop = Stop(self.stops.whole)
        with self.narrator.section("after_script", "Running after_script"):
            self.narrator.notice("Running after script...")
            with stop.after(self.job.settings.after_script_seconds):
                found = await self._run_script(script, stop)
        if found.result is Result.SUCCESS:
            return ending
        if not self.job.settings.after_script_ignore_errors:
            return found if ending.result is Result.SUCCESS else ending
        what = f"exit code {found.exit_code}" if found.result is Result.FAILED else found.text or found.result
        self.narrator.warning(f"after_script failed, but job will continue unaffected: {what}")
        return ending

    async def _after_scripts(self, stages: tuple[Stage, ...]) -> Ending:
        """Save and upload: each of it, whatever becomes of the others; the first failure counts."""
        ending = SUCCEEDED
        for stage in stages:
            try:
                await self._attempt(stage)
            except StageError as error:
                ending = error.ending if ending.result is Result.SUCCESS else ending
        return ending

    async def _run_script(self, script: Script, stop: Stop) -> Ending:
        """How a script ended, by itself or by `stop`; raises `Interrupted` when all of the job is to end."""
        try:
            async with self.shell.launch(script, self.trace.write) as launched:
                ending = await self._watch(launched, stop)
        except (OSError, ValueError) as error:  # ValueError: what no environment or file can hold
            return broken(f"the script cannot be run: {error}")
        if self.stops.whole.ending is not None:
            raise Interrupted(self.stops.whole.ending)
        return ending

    async def _watch(self, launched: RunningProgram, stop: Stop) -> Ending:
        ended = asyncio.ensure_future(launched.wait())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() or stop.ending is None:
                return exited(ended.result())
            launched.terminate()
            with contextlib.suppress(TimeoutError):
                async with self.stops.within(self.timings.grace, self.timings.hurried_grace):
                    await asyncio.wait({ended})
            return stop.ending
        finally:
            ended.cancel()
            stopped.cancel()

    def _introduction(self) -> None:
        narrator = self.narrator
        narrator.line(f"Running with paas-runner-inner {__version__}")
        narrator.line(f"  on {self.job.section.name or 'a host'} {self.job.section.token}")
        for warning in self.job.settings.warnings:
            narrator.warning(warning)

    def _conclusion(self, ending: Ending, use: Use | None) -> None:
        with self.narrator.section(
            "cleanup_file_variables", "Cleaning up project directory and file based variables"
        ):
            pass  # the workspace does it, when nothing can need them any more
        if ending.result is Result.SUCCESS:
            if use and self.flavors and (hint := self.flavors.hint(use)):
                self.narrator.line(hint)
            self.narrator.notice("Job succeeded")
        else:
            self.narrator.error(ending.complaint(self.job.payload.timeout))
        self.trace.finish()
