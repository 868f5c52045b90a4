import shutil
from pathlib import Path

import pytest

from paas_runner import cli
from tests.support.git_server import git

PIPELINES = Path(__file__).parent / "pipelines"


class Project:
    """A repository with one commit, a change that is not committed, a new file and an ignored one."""

    def __init__(self, root):
        self.root = root
        git(root, "init", "-q", "-b", "main")
        git(root, "remote", "add", "origin", "git@gitlab.example.org:group/words.git")
        self.write("README", "first\n")
        self.write(".gitignore", "ignored.log\n")
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", "The title\n\nThe body")
        self.write("README", "first\nchanged\n")
        self.write("new.txt", "new\n")
        self.write("ignored.log", "ignored\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def use(self, pipeline):
        """One of the files in `pipelines/`, with what it may include."""
        shutil.copy(PIPELINES / f"{pipeline}.yml", self.root / ".gitlab-ci.yml")
        shutil.copytree(PIPELINES / "templates", self.root / "templates", dirs_exist_ok=True)
        return self


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("GITLAB_TOKEN", "PAAS_RUNNER_EXEC_TOKEN", "TOKEN"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "words"
    root.mkdir()
    monkeypatch.chdir(root)
    return Project(root)


@pytest.fixture
def called(capfd):
    """Calls `paas-runner exec` in this process: exit code, answer, messages."""

    def call(*arguments):
        capfd.readouterr()
        try:
            code = cli.main(["exec", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return code, *capfd.readouterr()

    return call
