"""Files of tasks on a cluster: by the rights that Jobs need anyway, within bounds, whoever made them."""

import asyncio
import gc
import random
import re
from pathlib import Path

import pytest
import yaml

from paas_runner.kubernetes import parcels
from tests.paas_pipelines.test_executors_kubernetes import cluster, pod, world_of  # noqa: F401 - fixtures
from tests.places.conftest import RIGHTS
from tests.support.executor_world import task


def test_the_file_for_operators_grants_what_these_tests_have():
    """In which neither `exec` nor `attach` is."""
    text = (Path(__file__).parents[2] / "packaging" / "kubernetes" / "rbac-containers.yaml").read_text()
    [role] = [each for each in yaml.safe_load_all(text) if each["kind"] == "Role"]
    granted = [(tuple(each["verbs"]), tuple(each["resources"])) for each in role["rules"]]
    assert granted == [(each.verbs, each.resources) for each in RIGHTS]


async def test_files_go_into_a_pod_and_out_of_it(tmp_path, cluster, pod):  # noqa: F811
    async with world_of(tmp_path) as world:
        run = await world.ran(
            local=task("echo local > x; chmod 755 x; mkdir d; echo deep > d/y", save=("x", "d")),
            build=task(
                "cat x d/y; stat -c %a x; pwd",
                "mkdir -p out; echo remote > out/plan; ln -s plan out/link; echo no > other",
                executor=pod,
                save=("out",),
                load=("local",),
                depends_on=("local",),
            ),
            after=task("cat out/plan out/link", executor=pod, load=("build",), depends_on=("build",)),
            here=task("cat out/link; ls", load=("build",), depends_on=("after",)),
        )
        assert [each.error for each in run.tasks] == [""] * 4
        said = world.said(run.run_id, "build")
        for text in ("local\ndeep\n", "777\n", "/files\n"):
            assert text in said
        assert "remote\nremote\n" in world.said(run.run_id, "after")
        assert world.said(run.run_id, "here") == "remote\nout\n"
        await world.nothing_owed()
        assert not cluster.cluster.left


@pytest.mark.long
async def test_an_archive_of_several_parts_comes_whole(tmp_path, cluster, pod):  # noqa: F811
    """What cannot be compressed: two logs out, seven Secrets in."""
    async with world_of(tmp_path) as world:
        run = await world.ran(
            build=task("head -c 7000000 /dev/urandom > x; sha256sum x", executor=pod, save=("x",)),
            after=task("sha256sum x", executor=pod, load=("build",), depends_on=("build",)),
        )
        assert [each.error for each in run.tasks] == ["", ""]
        digest = next(line for line in world.said(run.run_id, "build").splitlines() if line.endswith("  x"))
        assert digest in world.said(run.run_id, "after")
        await world.nothing_owed()
        assert not cluster.cluster.left


HOSTILE = {
    "a link out of it": ("ln -s /etc/passwd x", "save: .*files/x. is a link to an absolute path"),
    "no file": ("mkfifo x", "save: "),
    "nothing of that name": ("true", 'save: nothing matches "x"'),
    "other files": ("cd ..; rm -rf files; ln -s /etc files", "save: "),
    "another archive": ("(sleep 0.5; echo junk > ../archive) & wait", ""),
}
LARGE = {
    "too much": ("head -c 30000000 /dev/urandom > x", "save: .* more than 24 MiB when they are packed"),
    "zeros without end": ("truncate -s 300M x", "save: .* more than "),
}


@pytest.mark.parametrize("case", [*HOSTILE, *(pytest.param(each, marks=pytest.mark.long) for each in LARGE)])
async def test_what_a_hostile_task_leaves_ends_with_words(tmp_path, cluster, pod, case):  # noqa: F811
    script, words = {**HOSTILE, **LARGE}[case]
    async with world_of(tmp_path) as world:
        run = await world.ran(build=task(script, executor=pod, save=("x",)))
        assert run.task("build").errored
        assert not words or re.match(words, run.task("build").error), run.task("build").error
        await world.nothing_owed()
        assert not cluster.cluster.left


@pytest.mark.long
async def test_archives_that_are_none_are_refused(tmp_path, cluster, pod, monkeypatch):  # noqa: F811
    """The task writes them itself, in the place of what is packed."""
    monkeypatch.setattr(parcels, "FETCH_SECONDS", 2.0)
    bomb = "head -c 500000000 /dev/zero | gzip > ../archive"
    scripts = {
        "junk": "echo junk > ../archive; : > ../ended; sleep 3",
        "bomb": f"{bomb}; : > ../ended; sleep 3",
        "nothing": "rm -rf ../archive; (while :; do rm -f ../ended; done) & sleep 0.1",
    }
    async with world_of(tmp_path) as world:
        for script in scripts.values():
            run = await world.ran(build=task(script, executor=pod, save=("x",)))
            assert run.task("build").error.startswith("save: "), run.task("build")
        await world.nothing_owed()
        assert not cluster.cluster.left


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of those cut off
async def test_killed_at_any_moment_the_files_are_there_and_nothing_is_left(tmp_path, cluster, pod):  # noqa: F811
    chance = random.Random(7)
    counted = tmp_path / "counted"
    async with world_of(tmp_path) as world:
        run_id = world.schedule(
            local=task("echo local > x", save=("x",)),
            build=task(
                f"echo one >> {counted}; cp x y",
                executor=pod,
                load=("local",),
                save=("y",),
                depends_on=("local",),
            ),
        )
        async with asyncio.timeout(60):
            while not world.engine.book.run(run_id).task("local").ended:
                await asyncio.sleep(0.01)
    for _ in range(40):
        async with world_of(tmp_path) as world:
            await asyncio.sleep(chance.random() * 0.3)
            if world.engine.book.run(run_id).ended:
                break
    async with world_of(tmp_path) as world:
        run = await world.ended(run_id)
        assert run.task("build").error == ""
        assert run.task("build").saved.count == 1
        await world.nothing_owed()
    assert counted.read_text() == "one\n"
    assert not cluster.cluster.left
    gc.collect()  # here, and not in the next test
