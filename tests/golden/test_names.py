"""Names that others write down: commands, options, keys, variables, programs, entry points."""

import json
import re

import pytest

from tests.golden.programs import DISTRIBUTION, called, configuration
from tests.golden.recording import RECORDED, held

KEYS = json.loads((RECORDED / "keys.json").read_text())
CLEVER, LOCAL = "clever-docker", "local-docker"


def helped(*command):
    """The options, positional arguments and subcommands that a help tells."""
    code, text, _ = called(*command, "--help")
    assert code == 0
    usage = text[: text.index("\n\n")]
    heads = re.findall(r"^  +(-.*?)(?:  |$)", text, re.MULTILINE)
    return {
        "options": sorted({option for head in heads for option in re.findall(r"(?<![\w-])--?[\w-]+", head)}),
        "arguments": [word for word in usage.split() if re.fullmatch(r"[A-Z]{3,}", word)][-3:],
        "commands": re.findall(r"^    ([a-z-]+)(?: |$)", text, re.MULTILINE) if "COMMAND" in usage else [],
        "choices": re.findall(r"(?<=\{)[\w,-]+(?=\})", usage),
    }


def test_each_program_and_command_takes_these_options():
    found = {}
    for program in sorted(
        script.name for script in DISTRIBUTION.entry_points.select(group="console_scripts")
    ):
        found[program] = helped(program)
        for command in found[program]["commands"]:
            found[f"{program} {command}"] = helped(program, command)
    assert len(found) == 4 + 22 + 2
    held("help", found)


def test_registration_reads_these_variables_of_the_environment():
    _, text, _ = called("paas-runner", "register", "--help")
    _, unregister, _ = called("paas-runner", "unregister", "--help")
    held("environment", sorted(set(re.findall(r"\$([A-Z_]{3,})", text + unregister))))


def test_the_distribution_brings_these_entry_points_and_each_can_be_loaded():
    found = {}
    for entry_point in DISTRIBUTION.entry_points:
        found.setdefault(entry_point.group, []).append(entry_point.name)
        assert entry_point.load()
    held("entry-points", {group: sorted(names) for group, names in sorted(found.items())})


def complaints(folder, text):
    """What is said of each key of a configuration, by key."""
    code, _, messages = called("heptapod-paas-runner", configuration(folder, text))
    assert code == 78
    return dict(re.findall(r"^\S+:\d+: (\S+): (.+)$", messages, re.MULTILINE))


def sections(executor):
    """The lists of keys by the table in which they stand, for a section of that executor."""
    runners = [key for name, keys in KEYS.items() if name.startswith("runners") for key in keys]
    return {
        "": [
            key
            for name, keys in KEYS.items()
            if name.startswith("global")
            for key in keys
            if key != "runners"
        ],
        "[quota_computation]": KEYS["quota_computation"],
        "[[runners]]": [key for key in (*runners, *KEYS[executor]) if key != "executor"],
    }


@pytest.mark.parametrize("executor", [CLEVER, LOCAL])
def test_every_recorded_key_of_the_configuration_is_known_and_others_are_not(tmp_path, executor):
    lines = []
    for table, keys in sections(executor).items():
        lines += [table, *(f'"{key}" = [1]' for key in keys if key not in TABLES), "qqqqqqqq = [1]"]
    lines.append(f'executor = "{executor}"')
    watch = [*KEYS["paas_job_trace_watch"], *KEYS["paas_job_trace_watch, other names"]]
    audit = KEYS["paas_acquisition_audit"]
    lines += ["[runners.paas_acquisition_audit]", *(f'"{key}" = [1]' for key in audit), "qqqqqqqq = [1]"]
    lines += ["[runners.paas_job_trace_watch]", *(f'"{key}" = [1]' for key in watch), "qqqqqqqq = [1]"]
    told = complaints(tmp_path, "\n".join(lines))
    refused = told["qqqqqqqq"]
    assert {key for key, said in told.items() if said.startswith(refused)} == {
        "qqqqqqqq",
        "quota_computation.qqqqqqqq",
        "runners[0].qqqqqqqq",
        "runners[0].paas_acquisition_audit.qqqqqqqq",
        "runners[0].paas_job_trace_watch.qqqqqqqq",
    }


TABLES = {"paas_acquisition_audit", "paas_job_trace_watch", "job_trace_watch", "quota_computation"}
"""Keys that stand as tables of their own."""


@pytest.mark.parametrize(("executor", "other"), [(CLEVER, LOCAL), (LOCAL, CLEVER)])
def test_a_key_of_one_executor_is_unknown_to_the_other(tmp_path, executor, other):
    foreign = sorted(set(KEYS[other]) - set(KEYS[executor]))
    keys = "\n".join(f"{key} = [1]" for key in (*foreign, "qqqqqqqq"))
    told = complaints(tmp_path, f'[[runners]]\nexecutor = "{executor}"\n{keys}')
    refused = told["runners[0].qqqqqqqq"]
    assert sorted(key for key, said in told.items() if said.startswith(refused)) == sorted(
        f"runners[0].{key}" for key in (*foreign, "qqqqqqqq")
    )


def test_what_is_in_effect_has_recorded_keys_alone():
    configured = json.loads((RECORDED / "check-show.json").read_text())["configuration"]
    assert set(configured) <= set(KEYS["global"])
    for runner in configured["runners"]:
        of_gitlab = KEYS["runners, of GitLab Runner, forwarded"]
        assert set(runner) <= {*KEYS["runners"], *KEYS[runner["executor"]], *of_gitlab}
        for table in ("paas_acquisition_audit", "paas_job_trace_watch"):
            assert set(runner[table]) <= set(KEYS[table])
    assert set(configured["quota_computation"]) == set(KEYS["quota_computation"])
