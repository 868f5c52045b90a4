"""A real Slurm as the conformance suite and our own tests want it."""

import time
from contextlib import contextmanager

from paas_executor_slurm import KIND
from paas_executor_slurm.folder import HostFolder
from paas_executor_slurm.settings import SlurmSettings

from paas_runner.conformance import Call, host_request
from paas_runner.executor.contract import RunnerSection

SHORT_TOKEN = "glrt-abcdef"


class RealSlurm:
    """Hosts have a stub for an inner runner, which notes that it was begun and goes on."""

    def __init__(self, slurm, folder):
        self.slurm = slurm
        self.shared = folder / "shared"
        self.shared.mkdir(mode=0o700)
        self.begun = folder / "begun"
        self.begun.mkdir()
        self._stub = folder / "stub"
        self._stub.write_text(f"#!/bin/sh\necho begun >> {self.begun}/$SLURM_JOB_NAME\nexec sleep 600\n")
        self._stub.chmod(0o755)

    def executor(self, installation="installation-1", **settings):
        section = RunnerSection(
            name="cluster",
            url="https://gitlab.example",
            short_token=SHORT_TOKEN,
            forwarded={},
            installation=installation,
        )
        settings = {"shared_folder": self.shared, "inner_command": [str(self._stub)], **settings}
        return KIND.build(SlurmSettings(**settings), section, None)

    def request(self, job_id, variables=None):
        return host_request(SHORT_TOKEN, job_id, variables)

    async def existing(self):
        return self.slurm.names()

    async def launches(self, name):
        """A node looks for its job twice a second."""
        for folder in self.shared.glob(f"*/{name}"):
            ends = time.monotonic() + 60
            while HostFolder(folder).launched() and not self._begun(name):
                assert time.monotonic() < ends, list(folder.iterdir())
                time.sleep(0.05)
        return self._begun(name)

    def _begun(self, name):
        begun = self.begun / name
        return begun.read_text().count("begun\n") if begun.exists() else 0

    async def plant(self, name):
        self.slurm.run(
            "sbatch", f"--job-name={name}", "--output=/dev/null", stdin="#!/bin/sh\nexec sleep 600\n"
        )

    async def vanish(self, ref):
        self.slurm.run("scancel", ref)
        while "CANCELLED" not in self.slurm.run(
            "squeue", "--noheader", "--states=all", f"--jobs={ref}", "--format=%T"
        ):
            time.sleep(0.05)

    def losing_the_answer(self, call):
        if call is Call.LAUNCH:
            return self._losing_the_answer_of_the_folder()
        return self.slurm.fault({Call.CREATE: "lost-sbatch", Call.DELETE: "lost-scancel"}[call])

    def slow_creation(self, seconds):
        return self.slurm.fault("slow-sbatch", str(seconds))

    def refusing(self):
        return self.slurm.closed()

    @contextmanager
    def _losing_the_answer_of_the_folder(self):
        """A server of files that is gone after it has done what it was asked."""
        done = HostFolder.hand_over

        def hand_over(folder, files, ref):
            HostFolder.hand_over = done
            done(folder, files, ref)
            raise OSError(5, "Input/output error")

        HostFolder.hand_over = hand_over
        try:
            yield
        finally:
            HostFolder.hand_over = done
