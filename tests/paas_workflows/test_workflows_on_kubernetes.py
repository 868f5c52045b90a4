"""Workflows as Jobs of a cluster, the sandbox's: the same results as on an engine, and nothing left."""

import json
import logging
from argparse import ArgumentParser
from datetime import timedelta

import attrs
import pytest
import structlog
from paas_workflows.commands.options import add_run_options
from paas_workflows.commands.running import begin, forget, go_on
from paas_workflows.store.executions import Executions

from paas_runner.sandbox.kubernetes import ClusterOptions, KubernetesServer, LocalRuntime, own_command
from tests.support.site_program import ROOT
from tests.support.workflow_programs import ACTION, action_image, programs

EXAMPLE = ROOT / "workflows" / "examples" / "abort.yaml"
IMAGE = "quay.io/f5-pwe/auto-result:1.0.1"


@pytest.fixture(autouse=True)
def _log_as_it_was():
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:], logging.getLogger().level = before[0], before[1]


async def _action(container):
    environment = {"KOG_ENV_CONTEXT": "true", **container.environment}
    command = ("bash", "-c", ACTION)
    return await own_command(attrs.evolve(container, command=command, environment=environment))


@pytest.fixture
async def cluster(tmp_path, monkeypatch):
    options = ClusterOptions(scheduling_delay=timedelta(milliseconds=50))
    async with KubernetesServer(LocalRuntime({IMAGE: _action}), options) as server:
        server.write_kubeconfig(tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server.cluster


def asked(*arguments, file=EXAMPLE):
    parser = ArgumentParser()
    parser.add_argument("file")
    add_run_options(parser)
    return parser.parse_args([str(file), "--executor", "k8s", *arguments])


def story(execution):
    return [(each.step, str(each.result), each.rc, each.message) for each in execution.results]


async def test_the_example_of_kog_ends_as_it_does_elsewhere_and_leaves_nothing(cluster, tmp_path, capsys):
    """K014, K015, K059, K061."""
    structlog.reset_defaults()  # as a program begins
    executions = Executions(tmp_path / "state")
    end = await begin(asked("--env", "UNUSED=canary"), executions)
    assert [each[:3] for each in story(end)] == [
        ("start", "success", 0),
        ("step2", "abort", 0),
        ("notify", "success", 0),
        ("finalize", "abort", 0),
    ]
    assert end.context["build"] == {"product": {"name": "Testing"}}
    assert not cluster.left
    assert await go_on(end.id, executions) == end
    await forget(end.id, executions)
    assert executions.all() == []
    assert capsys.readouterr().out == ""  # it is for the result alone


@pytest.mark.long
async def test_the_same_file_has_the_same_result_on_an_engine(cluster, engine, tmp_path):
    """K012, K014."""
    on_cluster = await begin(asked("--env", "TEST=x"), Executions(tmp_path / "state"))
    action_image(engine, IMAGE)
    home = programs(tmp_path, DOCKER_HOST=engine.url)
    done = home.run("paas-runner", "workflow", "run", str(EXAMPLE), "--env", "TEST=x", "--json")
    found = json.loads(done.stdout)
    fields = ("step_name", "result", "rc", "message")
    assert [tuple(each[field] for field in fields) for each in found["results"]] == story(on_cluster)
    assert without_ids(found["context"]) == without_ids(on_cluster.context)


def without_ids(context):
    return {key: value for key, value in context.items() if key not in ("correlation_id", "run_id")}
