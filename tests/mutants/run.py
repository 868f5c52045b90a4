"""Which small changes of meaning in the core do the tests notice?

Each entry of `mutants.toml` is applied to a copy of the project, alone, and the fast tests that have its
promise are run there. A change that they do not notice is a promise without a test.

    make mutants                                            all of them
    make mutants ARGS='act-before-record two-machines'      these
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import attrs

PROJECT = Path(__file__).parents[2]
LIST = Path(__file__).parent / "mutants.toml"
COPIED = ("paas_runner", "executors", "register", "tests", "packaging", "pyproject.toml")
MOST_SECONDS = 300


@attrs.frozen(kw_only=True)
class Mutant:
    """One change of meaning."""

    name: str
    what: str
    file: str
    before: str
    after: str
    noticed_by: str
    """Where the promise is tested."""

    @property
    def fits(self) -> bool:
        """Whether the code still has the one place that is changed."""
        return (PROJECT / self.file).read_text().count(self.before) == 1


def mutants() -> Sequence[Mutant]:
    """Those of the list; raises KeyError for an entry that lacks something."""
    entries = tomllib.loads(LIST.read_text())
    return [
        Mutant(
            name=name,
            what=entry["what"],
            file=entry["file"],
            before=entry["from"],
            after=entry["to"],
            noticed_by=entry["noticed_by"],
        )
        for name, entry in entries.items()
    ]


def mutated(mutant: Mutant, folder: Path) -> None:
    """Make a copy of the project with the change in it."""
    for name in COPIED:
        original = PROJECT / name
        if original.is_dir():
            shutil.copytree(original, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(original, folder / name)
    file = folder / mutant.file
    file.write_text(file.read_text().replace(mutant.before, mutant.after))


async def notice(mutant: Mutant, folder: Path) -> str:
    """The test that notices the change in the copy; empty when none does."""
    options = ["-q", "-x", "-n", "0", "-p", "no:randomly", "-m", "not long", "--tb=no", "--no-header"]
    tests = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *options, mutant.noticed_by),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(MOST_SECONDS):
            said, _ = await tests.communicate()
    except TimeoutError:
        tests.kill()
        await tests.wait()
        return f"{mutant.noticed_by} does not come to its end"
    failed = [line for line in said.decode().splitlines() if line.startswith("FAILED")]
    return failed[0].removeprefix("FAILED ").partition(" - ")[0] if failed else ""


async def main(names: Sequence[str], at_once: int) -> int:
    """Print each verdict as it comes; 1 if a change went unnoticed."""
    chosen = [mutant for mutant in mutants() if not names or mutant.name in names]
    places = asyncio.Semaphore(at_once)
    unnoticed: list[Mutant] = []

    async def judge(mutant: Mutant) -> None:
        async with places:
            with tempfile.TemporaryDirectory() as folder:
                mutated(mutant, Path(folder))
                test = await notice(mutant, Path(folder))
        if not test:
            unnoticed.append(mutant)
        print(f"{mutant.name:28} {test or 'NOT NOTICED: ' + mutant.what}", flush=True)

    async with asyncio.TaskGroup() as judges:
        for mutant in chosen:
            judges.create_task(judge(mutant))
    print(f"{len(chosen)} changes of meaning, {len(unnoticed)} not noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.names, options.at_once)))
