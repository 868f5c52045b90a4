"""Manual pages and completion have all that the programs and the configuration have."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paas_runner import cli
from paas_runner.config.reference import reference
from paas_runner.executor.contract import installed
from paas_runner.inner.cli import parser as inner_parser
from register.commands import register_parser
from tests.support.requirements import need

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "packaging" / "manual" / "build.py"
SHELLS = {
    "bash": "usr/share/bash-completion/completions/{}",
    "zsh": "usr/share/zsh/vendor-completions/_{}",
    "fish": "usr/share/fish/vendor_completions.d/{}.fish",
}
PARSERS = {
    parser.prog: parser
    for parser in (cli.commands_parser(), cli.service_parser(), register_parser(), inner_parser())
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The root of a file system with everything in its place."""
    root = tmp_path_factory.mktemp("manual")
    environ = os.environ | {"SOURCE_DATE_EPOCH": "1767225600", "COLUMNS": "40"}
    done = subprocess.run(
        [sys.executable, BUILD, root], env=environ, text=True, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return root


def page(made, name, section):
    """A page's text, without what is roff's."""
    text = (made / f"usr/share/man/man{section}/{name}.{section}").read_text()
    plain = text.replace("\\-", "-").replace("\\(aq", "'").replace("\\:", "").replace("\\(dq", '"')
    return re.sub(r"\\f[BIR]", "", plain)


def sections(text, request):
    """What stands below each heading of that level."""
    pieces = re.split(rf'^\.{request} "(.*)"\n', text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def parts(parser):
    """Each parser of a program by its command, the program's own by the empty one."""
    yield "", parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def options(parser):
    told = [action for action in parser._actions if action.help not in (None, argparse.SUPPRESS)]
    return [option for action in told for option in action.option_strings]


@pytest.mark.parametrize("program", PARSERS)
def test_a_page_has_every_command_with_its_options_and_exit_codes(made, program):
    text = page(made, program, 1)
    by_command = sections(text, "SS")
    for command, parser in parts(PARSERS[program]):
        told = by_command[command] if command else text
        for action in parser._actions:
            if action.help not in (None, argparse.SUPPRESS) and action.option_strings:
                assert f"\n{', '.join(action.option_strings)}" in told, (command, action)
        for title in re.findall(r"(?:^|\n\n)(\S.*:)\n", parser.epilog or ""):
            assert f"\n{title}\n" in told
        for code in re.findall(r"^  (\d+) ", parser.epilog or "", re.MULTILINE):
            assert f"\n.TP\n{code}\n" in told


def test_a_page_has_every_key_with_its_type_its_default_and_its_meaning(made):
    by_title = sections(page(made, "paas-runner.toml", 5), "SH")
    for section in reference(installed()):
        told = by_title[section.title if section.header else section.title.upper()]
        for entry in section.keys:
            assert re.search(rf"(^|, ){re.escape(entry.key)}($|, )", told, re.MULTILINE), entry.key
            if entry.accepts and entry in section.of(entry.concern.OURS):
                [line] = re.findall(rf"^{re.escape(entry.key)}\n(.*)$", told, re.MULTILINE)
                assert line.startswith(entry.meaning.replace("`", ""))
                assert entry.accepts in line
                assert entry.default in line
                assert entry.required == line.endswith(", required)")


def test_pages_say_what_they_are_about_for_whoever_searches_them(made):
    assert "\npaas-runner - run CI jobs of GitLab" in page(made, "paas-runner", 1)
    assert ' "5" "2026-01-01" "paas-runner ' in page(made, "paas-runner.toml", 5)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", PARSERS)
def test_completion_knows_every_command_and_every_option(made, shell, program):
    text = (made / SHELLS[shell].format(program)).read_text()
    for command, parser in parts(PARSERS[program]):
        assert command in text
        for option in options(parser):
            name = option.lstrip("-") if shell == "fish" else option
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), (command, option)


def test_bash_completes_commands_options_choices_and_files(made, tmp_path):
    (tmp_path / "config.toml").touch()
    script = made / SHELLS["bash"].format("paas-runner")

    def completed(*words):
        line = " ".join(f"'{word}'" for word in words)
        asking = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_paas_runner; printf '%s\\n' "
        code = f'source {script}; {asking}"${{COMPREPLY[@]}}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", code], cwd=tmp_path, text=True, capture_output=True, check=True
        )
        return done.stdout.split()

    assert completed("paas-runner", "re") == ["register", "reload", "resume"]
    assert completed("paas-runner", "costs", "--s") == ["--since"]
    assert completed("paas-runner", "costs", "--by", "t") == ["tenant"]
    assert completed("paas-runner", "check", "con") == ["config.toml"]


@pytest.mark.long
def test_zsh_and_fish_take_theirs(made, tmp_path):
    need("zsh", "fish")
    (tmp_path / "config.toml").touch()
    for program in PARSERS:
        subprocess.run(["zsh", "-n", made / SHELLS["zsh"].format(program)], check=True)
    script = made / SHELLS["fish"].format("paas-runner")

    def completed(line):
        asking = ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"]
        done = subprocess.run(asking, cwd=tmp_path, text=True, capture_output=True, check=True)
        return [found.partition("\t")[0] for found in done.stdout.splitlines()]

    assert set(completed("paas-runner re")) == {"register", "reload", "resume"}
    assert completed("paas-runner costs --by t") == ["tenant"]
    assert "config.toml" in completed("paas-runner check con")
