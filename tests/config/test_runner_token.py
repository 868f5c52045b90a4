import pytest

from paas_runner.config import load
from paas_runner.executor.contract import installed
from paas_runner.job.known_runner import created_there, short_token


@pytest.mark.parametrize(
    ("token", "short"),
    [
        ("glrt-abcdefghijklmnopqrst", "abcdefghi"),
        ("glrt-t1_abcdefghijklmnop", "abcdefghi"),
        ("glrt-t2_abcdefghijklmnop", "abcdefghi"),
        ("glrt-t3_abcdefghijklmnop", "abcdefghi"),
        ("glrt-t4_abcdefghijklmnop", "t4_abcdef"),
        ("t1_abcdefghijklmnop", "abcdefghi"),
        ("t2_abcdefghijklmnop", "abcdefghi"),
        ("t3_abcdefghijklmnop", "abcdefghi"),
        ("glrtr-abcdefghijklmnop", "abcdefghi"),
        ("glcbt-abcdefghijklmnop", "abcdefghi"),
        ("GR1348941abcdefghijklmnop", "abcdefghi"),
        ("GR13489AFabcdefghijklmnop", "abcdefghi"),
        ("GR13489xxabcdefghijklmnop", "GR13489xx"),
        ("D3adNQYu8OCjkYDbwDaG", "D3adNQYu8"),
        ("xglrt-abcdefghijkl", "xglrt-abc"),
        ("glrt-abc", "abc"),
        ("acme-glrt-t1_abcdefghijk12345", "abcdefghi"),
        ("acme-glrt-abcdefghijk12345", "abcdefghi"),
        ("acme_labs-ci-glrt-t3_abcdefghijk", "abcdefghi"),
        ("acme-glrtr-abcdefghijk12345", "abcdefghi"),
        ("acme-glcbt-abcdefghijk12345", "abcdefghi"),
        ("glrt-t1_abc-glrt-defghi", "abc-glrt-"),
        ("short", "short"),
        ("", ""),
    ],
)
def test_short_token_is_the_nine_characters_after_one_known_prefix(token: str, short: str) -> None:
    assert short_token(token) == short


@pytest.mark.parametrize(
    ("token", "there"),
    [
        ("glrt-abcdefghijklmnopqrst", True),
        ("acme-glrt-t1_abcdefghijk12345", True),
        ("glrtr-abcdefghijklmnop", False),
        ("acme-glrtr-abcdefghijklmnop", False),
        ("GR1348941abcdefghijklmnop", False),
        ("D3adNQYu8OCjkYDbwDaG", False),
        ("xglrt-abcdefghijkl", False),
    ],
)
def test_a_runner_that_was_created_at_the_coordinator_is_known_by_its_token(token: str, there: bool) -> None:
    assert created_there(token) is there


def test_helper_services_call_a_runner_as_heptapod_paas_runner_does_unless_two_would_share_the_name(tmp_path):
    def names(*tokens):
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        sections = (
            f'[[runners]]\n  url = "https://x"\n  token = "{token}"\n  executor = "local-docker"\n'
            for token in tokens
        )
        path.write_text("".join(sections))
        return load(path, environ={}, executors=installed()).helper_names

    assert names("glrt-t1_first1234") == {"first1234": "glrt-t1_"}
    assert names("glrt-t1_first1234", "glrt-t1_second123", "oldtoken9x") == {
        "first1234": "first1234",
        "second123": "second123",
        "oldtoken9": "oldtoken",
    }
