"""One job from its first line to its last: steps, after_script, and what may end them early."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import attrs

from paas_runner import __version__
from paas_runner.job.payload import Payload
from paas_runner.sandbox.inner.ending import Ending, FinalWord, Result, exited
from paas_runner.sandbox.inner.job_script import JobScripts, Script, image_names
from paas_runner.sandbox.inner.link import Pace
from paas_runner.sandbox.inner.narrator import Narrator
from paas_runner.sandbox.inner.section import RunnerSection
from paas_runner.sandbox.inner.shell import Launched, Shell
from paas_runner.sandbox.inner.trace import Trace


class Stop:
    """A reason to end a script before its time; the first one counts."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        self.result = Result.CANCELED

    def give(self, result: Result) -> None:
        """Ask for the end."""
        if not self._given.is_set():
            self.result = result
            self._given.set()

    async def wait(self) -> None:
        """Return when the end has been asked for."""
        await self._given.wait()


@attrs.frozen(kw_only=True)
class Execution:
    """What is needed to run one job's scripts."""

    payload: Payload
    section: RunnerSection
    scripts: JobScripts
    shell: Shell
    trace: Trace
    narrator: Narrator
    pace: Pace

    async def run(self, stop: Stop) -> FinalWord:
        """Run all of it; returns what the coordinator is to be told."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.payload.timeout.total_seconds()
        timer = loop.call_at(deadline, stop.give, Result.TIMED_OUT)
        self._introduction()
        ending = await self._steps(stop)
        timer.cancel()
        after_script = self.scripts.after_script
        if after_script is not None and ending.result not in (Result.TIMED_OUT, Result.BROKEN):
            await self._after_script(after_script.knowing(ending.result), deadline)
        self._conclusion(ending)
        return ending.word()

    async def _steps(self, stop: Stop) -> Ending:
        for script in self.scripts.steps:
            name = f"step_{script.name}"
            with self.narrator.section(name, f'Executing "{name}" stage of the job script'):
                ending = await self._script(script, stop)
            if ending.result is not Result.SUCCESS:
                return ending
        return exited(0)

    async def _after_script(self, script: Script, deadline: float) -> None:
        """Within its own limit and the job's; its failure changes nothing (§10.1)."""
        loop = asyncio.get_running_loop()
        stop = Stop()
        timer = loop.call_at(min(loop.time() + self.pace.after_script, deadline), stop.give, Result.TIMED_OUT)
        with self.narrator.section("after_script", "Running after_script"):
            self.narrator.line("Running after script...")
            ending = await self._script(script, stop)
            if ending.result is not Result.SUCCESS:
                self.narrator.warning(
                    f"after_script failed, but job will continue unaffected: {ending.result}"
                )
        timer.cancel()

    async def _script(self, script: Script, stop: Stop) -> Ending:
        try:
            async with self.shell.launch(script, self.trace.write) as launched:
                return await self._watched(launched, stop)
        except (OSError, ValueError) as error:  # ValueError: what no environment or file can hold
            return Ending(result=Result.BROKEN, text=f"the script cannot be run: {error}")

    async def _watched(self, launched: Launched, stop: Stop) -> Ending:
        ended = asyncio.ensure_future(launched.wait())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return exited(ended.result())
            launched.terminate()
            await asyncio.wait({ended}, timeout=self.pace.grace)
            return Ending(result=stop.result)
        finally:
            ended.cancel()
            stopped.cancel()

    def _introduction(self) -> None:
        narrator = self.narrator
        narrator.line(f"Running with paas-runner-sandbox {__version__}")
        narrator.line(f"  on {self.section.name or 'sandbox'} {self.section.token}")
        with narrator.section("prepare_executor", f'Preparing the "{self.section.executor}" executor'):
            for name in image_names(self.payload):
                narrator.line(f"The sandbox runs the script on this machine; image {name} is not started")
        with narrator.section("get_sources", "Getting source from Git repository"):
            narrator.line("Sources are not fetched in the sandbox")

    def _conclusion(self, ending: Ending) -> None:
        if ending.result is Result.SUCCESS:
            self.narrator.success("Job succeeded")
        else:
            self.narrator.error(ending.complaint(self.payload.timeout))
        self.trace.finish()


def narrate(trace: Trace, payload: Payload, clock: Callable[[], datetime]) -> Narrator:
    """The runner's own voice in a trace, with sections if the coordinator wants them."""
    features = payload.raw.get("features")
    wanted = isinstance(features, dict) and bool(features.get("trace_sections"))
    return Narrator(write=trace.write, clock=clock, with_sections=wanted)
