"""Registration for `kubernetes`: a script, and a cluster that answers."""

import tomllib

from tests.support.kubernetes_hosts import cluster_with_hosts


async def test_a_script_gets_a_section_that_starts_as_it_is(world, tmp_path):
    world.presets = ()
    clever = {"CC_ORGA_ID": None, "CC_TOKEN": None}
    async with cluster_with_hosts(tmp_path) as hosts:
        hosts.server.write_kubeconfig(tmp_path / "kubeconfig")
        result = await world.register(
            **clever, RUNNER_EXECUTOR="kubernetes", KUBERNETES_KUBECONFIG=str(tmp_path / "kubeconfig")
        )
        assert result.code == 0, result
        assert "namespace default: all rights that are needed" in result.out
    [section] = tomllib.loads(world.config.read_text())["runners"]
    assert {key: section[key] for key in ("executor", "kubeconfig", "namespace")} == {
        "executor": "kubernetes",
        "kubeconfig": str(tmp_path / "kubeconfig"),
        "namespace": "default",
    }


async def test_a_script_that_names_no_file_gets_the_one_that_kubectl_would_use(world, tmp_path):
    world.presets = ()
    clever = {"CC_ORGA_ID": None, "CC_TOKEN": None}
    async with cluster_with_hosts(tmp_path) as hosts:
        hosts.server.write_kubeconfig(tmp_path / "kubeconfig")
        result = await world.register(
            **clever, RUNNER_EXECUTOR="kubernetes", KUBECONFIG=str(tmp_path / "kubeconfig")
        )
        assert result.code == 0, result
    assert tomllib.loads(world.config.read_text())["runners"][0]["kubeconfig"] == str(tmp_path / "kubeconfig")
