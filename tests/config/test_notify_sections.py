"""`[[notify]]` is read as strictly as all else, and its addresses are secrets."""

import pytest

from paas_runner.check import shown
from paas_runner.config import ConfigError
from paas_runner.config.difference import differences
from paas_runner.job.notice import TOLD, NoticeKind

RUNNER = """
[[runners]]
  name = "clever"
  url = "http://127.0.0.1:9"
  token = "glrt-abcdefghijklmnopqrst"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "cloud-token"
"""
HOOK = "https://hooks.example.org/services/canary-of-the-address"


def section(**settings):
    lines = [f"  {key} = {value}" for key, value in {"name": '"ops"', **settings}.items()]
    return "\n".join(["[[notify]]", *lines, ""])


def test_a_receiver_has_everything_by_default(load_text):
    [receiver] = load_text(RUNNER + section(url=f'"{HOOK}"')).notify
    assert receiver.kinds == frozenset(TOLD)
    assert NoticeKind.TEST not in receiver.kinds
    assert receiver.url.reveal() == HOOK


def test_address_and_secret_may_be_references(load_text):
    text = RUNNER + section(url='"env:HOOK"', secret='"$KEY"')
    [receiver] = load_text(text, environ={"HOOK": HOOK, "KEY": "x" * 16}).notify
    assert receiver.url.reveal() == HOOK
    assert receiver.secret.reveal() == "x" * 16


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({}, "needs either `url` or `command`"),
        ({"url": f'"{HOOK}"', "command": '["/bin/true"]'}, "there is a `url`, too"),
        ({"url": '"ftp://canary.test"'}, "must begin with https:// or http://"),
        ({"url": '"https://user:canary@host.test/"'}, "credentials, query and fragment have no place"),
        ({"url": f'"{HOOK}"', "on": '["host_los"]'}, "did you mean `host_lost`?"),
        ({"url": f'"{HOOK}"', "on": '["test"]'}, "none of launch_failed"),
        ({"url": f'"{HOOK}"', "on": '["cost_above"]'}, "needs `cost_per_hour` or `cost_per_day`"),
        ({"url": f'"{HOOK}"', "runners": '["clver"]'}, "did you mean `clever`?"),
        ({"url": f'"{HOOK}"', "secret": '"canary"'}, "too short to sign with"),
        ({"url": f'"{HOOK}"', "secret": '"whsec_canary!"'}, "is no base64"),
        ({"url": f'"{HOOK}"', "format": '"slak"'}, "did you mean `slack`?"),
        ({"url": f'"{HOOK}"', "colour": "1"}, "unknown key"),
        ({"command": '["notify-me"]'}, "no absolute path"),
        ({"command": '["/bin/true"]', "secret": f'"{"x" * 16}"'}, "is for a `url` alone"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_without_the_secret(load_text, settings, complaint):
    with pytest.raises(ConfigError) as raised:
        load_text(RUNNER + section(**settings))
    assert complaint in str(raised.value)
    assert "config.toml:" in str(raised.value)
    assert "canary" not in str(raised.value)


def test_two_receivers_of_one_name_and_what_is_no_section_are_refused(load_text):
    with pytest.raises(ConfigError, match=r"the same name as notify\[0\]"):
        load_text(RUNNER + 2 * section(url=f'"{HOOK}"'))
    with pytest.raises(ConfigError, match=r"expected \[\[notify\]\] sections"):
        load_text(f'notify = "{HOOK}"\n{RUNNER}')


def test_what_is_shown_and_what_a_reload_says_has_no_address(load_text):
    before = load_text(RUNNER + section(url=f'"{HOOK}"'))
    after = load_text(RUNNER + section(url=f'"{HOOK}-2"', most_per_hour=3))
    assert "canary" not in shown.text(before, {})
    assert 'name = "ops"' in shown.text(before, {})
    assert differences(before, after) == [
        'notify "ops": url: changed',
        'notify "ops": most_per_hour: 20 → 3',
    ]
    assert {HOOK} <= {secret.reveal() for secret in before.secrets}


def test_what_a_reload_says_has_no_argument_of_a_program(load_text):
    before, after = (
        load_text(RUNNER + section(command=f'["/usr/bin/page", "--token", "canary-{number}"]'))
        for number in (1, 2)
    )
    assert differences(before, after) == ['notify "ops": command: changed']
