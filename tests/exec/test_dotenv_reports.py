"""Dotenv reports as GitLab reads them: whoever writes a broken one fails, and nobody after it."""

import gzip

import pytest

from paas_runner.exec.dotenv_report import DotenvError, variables

PIPELINE = """\
make:
  stage: build
  script:
    - echo A=1 > made.env; echo >> made.env
  artifacts: {reports: {dotenv: made.env}}
use:
  script:
    - echo "A is ${A:-nothing}"
"""


def read(text):
    return {each.key: each.value for each in variables(gzip.compress(text))}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", {}),
        (b"A=1\nA=2\n", {"A": "2"}),
        (b" A = b = c \r\n2=x", {"A": "b = c", "2": "x"}),
        (b"Q='x y'\nR=\"z\"\n", {"Q": "'x y'", "R": '"z"'}),
        ("A=x\x0cB=2\u2028C=3\n".encode(), {"A": "x\x0cB=2\u2028C=3"}),
        ("\ufeffA=ä\n".encode(), {"A": "ä"}),
        ("A=1\nB=ä\n".encode("utf-16"), {"A": "1", "B": "ä"}),
    ],
)
def test_each_line_is_one_variable_and_is_taken_as_it_is(text, found):
    assert read(text) == found


@pytest.mark.parametrize("text", [b"A=1\n\nB=2\n", b"# no\n", b"A B=1\n", b"export A=1\n", b"=1\n", b"A=\0"])
def test_what_gitlab_does_not_read_is_refused_with_its_line(text):
    with pytest.raises(DotenvError, match=r"^line \d: NAME=value was expected$"):
        read(text)


def test_what_is_larger_than_gitlab_takes_is_refused_before_it_is_unpacked():
    with pytest.raises(DotenvError, match="larger than 5 KiB"):
        read(b"A=" + bytes(200 * 1024**2))
    with pytest.raises(DotenvError, match="not compressed"):
        list(variables(b"A=1\n"))


def test_the_job_that_writes_a_broken_one_fails_and_later_ones_run(project, called):
    project.write(".gitlab-ci.yml", PIPELINE)
    code, answer, _ = called("make", "--shell")
    assert (code, "job make: failed" in answer) == (1, True)
    assert "the dotenv report cannot be read: line 2: NAME=value was expected" in answer
    code, answer, _ = called("use", "--shell")
    assert (code, "A is nothing" in answer) == (0, True)
