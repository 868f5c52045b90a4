"""`[runners.tags.NAME]` is read as strictly as all else, with file and line; no host hears of it."""

import tomllib

import pytest

from executors.build_context import build_context
from executors.tag_tables import TagHosts, TagImage
from paas_runner.config import ConfigError, load
from paas_runner.executor.contract import HostRequest, RunnerSection, installed
from paas_runner.job.tracked import HostName
from tests.support.records import payload

CLEVER = """[[runners]]
url = "https://gitlab.example"
token = "glrt-made-up-token"
executor = "clever-docker"
cc_orga_id = "orga_1"
cc_token = "made-up"
"""
LOCAL = """[[runners]]
url = "https://gitlab.example"
token = "glrt-made-up-token"
executor = "local-docker"
"""


@pytest.fixture
def read(tmp_path):
    def reading(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        [runner] = load(path, environ={"SIZE": "XL"}, executors=installed()).runners
        return runner

    return reading


def test_a_table_is_read_for_each_tag(read):
    found = read(
        CLEVER + '[runners.tags.big]\nflavor = "$SIZE"\n[runners.tags."a b"]\nZones = ["par"]\nimage = "i:1"'
    )
    assert found.settings.tags == {
        "big": TagHosts(flavor="XL"),
        "a b": TagHosts(zones=("par",), image="i:1"),
    }


def test_of_local_hosts_the_image_alone_differs(read):
    found = read(LOCAL + '[runners.tags.next]\nimage = "inner:2"').settings
    assert found.tags == {"next": TagImage(image="inner:2")}
    assert (found.image_for("next"), found.image_for("")) == ("inner:2", found.heptapod_runner_main_image)
    assert found.images == [found.heptapod_runner_main_image, "inner:2"]


@pytest.mark.parametrize(
    ("section", "more", "words"),
    [
        (CLEVER, "tags = 7", "7: runners[0].tags: expected a table, found a whole number"),
        (CLEVER, "tags = {}", "7: runners[0].tags: expected a table for each name, found an empty table"),
        (CLEVER, "[[runners.tags]]", "7: runners[0].tags: expected a table, found a list"),
        (CLEVER, 'tags.big = "XL"', "7: runners[0].tags.big: expected a table, found a text"),
        (
            CLEVER,
            "[runners.tags.big]",
            "7: runners[0].tags.big: expected a table with a name and some of flavor",
        ),
        (CLEVER, '[runners.tags.""]\nzone = "par"', "found a table without a name"),
        (
            CLEVER,
            '[runners.tags.big]\nflavour = "XL"',
            "8: runners[0].tags.big.flavour: unknown key; did you mean `flavor`?",
        ),
        (CLEVER, "[runners.tags.big]\nflavor = 7", "8: runners[0].tags.big.flavor: expected a text, found 7"),
        (CLEVER, '[runners.tags.big]\nflavor = ""', "8: runners[0].tags.big.flavor: must not be empty"),
        (
            CLEVER,
            '[runners.tags.big]\nzones = "par"',
            "8: runners[0].tags.big.zones: expected a list of texts",
        ),
        (
            CLEVER,
            '[runners.tags.big]\nzone = "a"\nzones = ["b"]',
            "9: runners[0].tags.big.zones: there is `zone`, too",
        ),
        (CLEVER, '[runners.tags.big]\nimage = "Not One"', "8: runners[0].tags.big.image: is no image name"),
        (CLEVER, '[runners.tag.big]\nflavor = "L"', "unknown key; did you mean `tags`?"),
        (LOCAL, '[runners.tags.big]\nflavor = "L"', "runners[0].tags.big.flavor: unknown key"),
        (LOCAL, '[runners.tags.big]\nimage = "-"', "runners[0].tags.big.image: is no image name"),
    ],
)
def test_what_is_wrong_with_one_is_said_where_it_is(read, section, more, words):
    with pytest.raises(ConfigError) as caught:
        read(section + more)
    assert words in str(caught.value)


def test_no_host_hears_of_it(read):
    runner = read(
        CLEVER + 'shell = "bash"\n[runners.tags.canary]\nimage = "canary:1"\n[runners.docker]\nimage = "a"'
    )
    assert set(runner.forwarded) == {"shell", "docker"}
    section = RunnerSection(
        name="one",
        url=runner.url,
        short_token=runner.short_token,
        forwarded=runner.forwarded,
        installation="installation-1",
    )
    request = HostRequest(host_name=HostName("h"), payload=payload(1))
    tree = build_context(request, section, main_image="img:1")
    assert b"canary" not in b"".join(tree.values())
    assert "tags" not in tomllib.loads(tree["runner.toml"].decode())["runners"][0]
