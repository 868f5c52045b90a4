"""What a new configuration changes, as the log tells it."""

import pytest

from executors.clever import CleverDocker
from paas_runner.config import load
from paas_runner.config.difference import differences, with_restart_keys_of

SECTION = """
[[runners]]
name = "{name}"
url = "https://gitlab.example"
token = "glrt-{name}-canary-token"
executor = "clever-docker"
cc_orga_id = "orga_1"
cc_token = "canary-cloud"
{more}
"""


@pytest.fixture
def read(tmp_path):
    def reading(settings="", *, names=("one",), more=""):
        path = tmp_path / "config.toml"
        path.write_text(settings + "".join(SECTION.format(name=name, more=more) for name in names))
        return load(path, environ={}, executors={"clever-docker": CleverDocker})

    return reading


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("concurrent = 4", "concurrent: 50 → 4"),
        ("check_interval = 7.5", "check_interval: not set → 7.5 s"),
        ('log_level = "debug"', 'log_level: "info" → "debug"'),
        ('log_format = "json"', 'log_format: not set → "json"'),
        ("paas_log_statistics = false", "paas_log_statistics: true → false"),
    ],
)
def test_a_setting_for_all_is_told_with_both_values(read, settings, line):
    assert differences(read(), read(settings)) == [line]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("limit = 3", "limit: 0 → 3"),
        ('cc_zones = ["par", "rbx"]', 'cc_zones: [] → ["par", "rbx"]'),
        ('unhealthy_interval = "2h"', "unhealthy_interval: 3600 s → 7200 s"),
        ("[runners.paas_job_trace_watch]\npoll_step = 2", "paas_job_trace_watch.poll_step: 10 s → 2 s"),
        ('[runners.paas_job_trace_watch]\ntoken = "canary-one"', "paas_job_trace_watch.token: changed"),
        ('[runners.cc_extra_env]\nKEY = "canary"', "cc_extra_env.KEY: added"),
        ('[runners.tags.big]\nflavor = "XL"', "tags.big: added"),
        ('environment = ["KEY=canary"]', "environment: added"),
        ('[runners.cache]\nType = "s3"', "cache: added"),
    ],
)
def test_a_setting_of_a_runner_is_told_and_whatever_may_be_secret_only_named(read, more, line):
    assert differences(read(), read(more=more)) == [f'runner "one": {line}']


def test_values_of_free_tables_are_never_told(read):
    before = read(more='[runners.cc_extra_env]\nKEY = "canary"\nGONE = "canary"')
    after = read(more='[runners.cc_extra_env]\nKEY = "canary, too"')
    assert differences(before, after) == [
        'runner "one": cc_extra_env.GONE: removed',
        'runner "one": cc_extra_env.KEY: changed',
    ]


def test_tables_with_names_of_the_operators_are_gone_into(read):
    before = read(more='[runners.tags.big]\nflavor = "L"\n[runners.tags.old]\nzone = "par"')
    after = read(more='[runners.tags.big]\nflavor = "XL"\nzones = ["par"]\n[runners.tags.new]\nzone = "par"')
    assert differences(before, after) == [
        'runner "one": tags.big.flavor: "L" → "XL"',
        'runner "one": tags.big.zones: [] → ["par"]',
        'runner "one": tags.new: added',
        'runner "one": tags.old: removed',
    ]


def test_runners_come_and_go(read):
    assert differences(read(names=("one", "two")), read(names=("two", "six"))) == [
        'runner "one": removed',
        'runner "six": added, https://gitlab.example',
    ]


def test_their_order_is_no_change(read):
    assert differences(read(names=("one", "two")), read(names=("two", "one"))) == []


def test_what_needs_a_restart_keeps_its_value_and_is_named(read):
    before = read("concurrent = 1")
    config, keys = with_restart_keys_of(before, read('concurrent = 2\nstate_file = "elsewhere.json"'))
    assert keys == ["state_file"]
    assert (config.concurrent, config.state_file) == (2, before.state_file)
