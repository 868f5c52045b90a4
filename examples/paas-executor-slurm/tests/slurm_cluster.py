"""A Slurm of the tests' own: controller, node and munged on loopback, in one folder; nothing else is touched.

The programs of its `bin` are Slurm's own, sbatch and scancel by way of a script that may lose an answer or
take its time, as a slow controller does.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "setpriv")
CLIENTS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct")
PARTITION = "main"

CONF = """
ClusterName=tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
DefMemPerCPU=10
MpiDefault=none
ReturnToService=2
KillWait=2
MessageTimeout=2
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=16 RealMemory=16000
PartitionName={partition} Nodes=node1 Default=YES MaxTime=1-0 State=UP
PartitionName=brief Nodes=node1 MaxTime=1 State=UP
"""

FAULTY = """#!/bin/sh
faults={folder}/faults
if [ -e $faults/slow-{program} ]; then
    work=$(mktemp -d {folder}/work.XXXXXX)
    cat > $work/script
    seconds=$(cat $faults/slow-{program})
    setsid sh -c 'work=$1; sleep $2; shift 2
        {real} "$@" < $work/script > $work/out 2> $work/err; echo $? > $work/code' \\
        sh $work $seconds "$@" < /dev/null > /dev/null 2>&1 &
    wait $!
    cat $work/out; cat $work/err >&2; exit $(cat $work/code)
fi
if rm $faults/lost-{program} 2> /dev/null; then
    {real} "$@" > /dev/null
    echo '{program}: error: Socket timed out on send/recv operation' >&2
    exit 1
fi
exec {real} "$@"
"""


def found(program: str) -> str | None:
    """Daemons may be where only root looks."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def missing() -> list[str]:
    """What this machine lacks for a Slurm of the tests' own."""
    lacking = [name for name in (*DAEMONS, *CLIENTS) if not found(name)]
    return lacking if os.getuid() == 0 else [*lacking, "root"]


class SlurmCluster:
    """One controller, and one node of sixteen CPUs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self._daemons: list[subprocess.Popen[bytes]] = []
        for name in ("munge", "state", "spool", "faults", "log", "bin"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        conf = CONF.format(folder=folder, ports=_free_ports(), partition=PARTITION)
        (folder / "slurm.conf").write_text(conf)
        for program in ("sbatch", "scancel"):
            wrapper = self.bin / program
            wrapper.write_text(FAULTY.format(folder=folder, program=program, real=found(program)))
            wrapper.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """Of programs that are to find this Slurm."""
        path = f"{self.bin}:{os.environ['PATH']}"
        return {"PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        munge = self.folder / "munge"
        (munge / "key").touch(mode=0o600)
        (munge / "key").write_bytes(os.urandom(128))
        files = {
            "key-file": "key",
            "socket": "socket",
            "pid-file": "pid",
            "seed-file": "seed",
            "log-file": "log",
        }
        self._start("munged", "--foreground", *(f"--{key}={munge / name}" for key, name in files.items()))
        _until((munge / "socket").exists)
        self.start_controller()
        self._start("slurmd", "-D", "-N", "node1")
        _until(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%T"))

    def start_controller(self) -> None:
        self.controller = self._start("slurmctld", "-D")

    def stop_controller(self) -> None:
        self.controller.terminate()
        self.controller.wait(10)

    def stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """Slurm's own program, without any fault."""
        done = subprocess.run(
            [str(found(program)), *arguments],
            input=stdin,
            env={**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")},
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.stdout

    def names(self) -> list[str]:
        """Of all Slurm jobs that are not over."""
        return self.run("squeue", "--noheader", "--format=%j").split()

    def clear(self) -> None:
        """No Slurm job is left, no fault either."""
        for fault in (self.folder / "faults").iterdir():
            fault.unlink()
        if self.names():
            self.run("scancel", "--user=root")
            _until(lambda: not self.names())

    @contextmanager
    def fault(self, name: str, text: str = "") -> Iterator[None]:
        """`lost-PROGRAM`: once; `slow-PROGRAM`: so many seconds each time."""
        file = self.folder / "faults" / name
        file.write_text(text)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """The partition takes no jobs."""
        self.run("scontrol", "update", f"PartitionName={PARTITION}", "State=DRAIN")
        try:
            yield
        finally:
            self.run("scontrol", "update", f"PartitionName={PARTITION}", "State=UP")

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Nothing of it outlives the tests, however they end."""
        with (self.folder / "log" / program).open("ab") as log:
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", str(found(program)), *arguments],
                env={**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._daemons.append(daemon)
        return daemon


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _until(condition, seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, condition
        time.sleep(0.05)
