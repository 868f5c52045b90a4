"""The keys of 1.1.1 for helper services mean something where their executor has them: H065, H130."""

from paas_runner.config import load
from paas_runner.executor.contract import installed

SECTION = """
[[runners]]
name = "x"
url = "https://gitlab.example"
token = "glrt-0123456789abcdefghij"
executor = "{executor}"
heptapod_paas_runner_helper_image = "registry.example/helper:1"
cc_orga_id = "orga_1"
cc_token = "token"
"""


def loaded(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return load(path, executors=installed(), environ={})


def test_the_image_of_the_helper_is_without_effect_only_where_nobody_reads_it(tmp_path):
    config = loaded(tmp_path, SECTION.format(executor="clever-service-docker"))
    assert config.runners[0].settings.heptapod_paas_runner_helper_image == "registry.example/helper:1"
    assert not [str(each) for each in config.warnings if "helper_image" in str(each)]
    config = loaded(tmp_path, SECTION.format(executor="clever-docker"))
    assert [str(each) for each in config.warnings if "helper_image" in str(each)]
