import pytest

from paas_runner.job.known_runner import short_token


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
        ("short", "short"),
        ("", ""),
    ],
)
def test_short_token_is_the_nine_characters_after_one_known_prefix(token: str, short: str) -> None:
    assert short_token(token) == short
