"""Programs have their turns, and one that fails does not keep the others from being measured."""

from pathlib import Path

import pytest

from benchmarks.figures import Figure, Patience, Scenario
from benchmarks.suite import FLOOR, OWN, Results, Suite, peer

PEER = peer(Path("1.1.1"))


async def turns(scenarios, *, rounds=2):
    """Who was measured in what order, and the results."""
    done, results = [], Results()

    def measuring(name):
        async def measure(program, folder, patience):
            done.append((name, program.name))
            if (name, program) == ("broken", OWN):
                raise ValueError("no such thing")
            return {"patience": patience.seconds}

        return measure

    figures = (Figure(key="patience", label="patience"),)
    made = [
        Scenario(name=name, about="", figures=figures, measure=measuring(name), **options)
        for name, options in scenarios.items()
    ]
    suite = Suite(
        scenarios=made,
        programs=[OWN, PEER, FLOOR],
        rounds=rounds,
        patience=Patience(seconds=7),
        tell=lambda _: None,
    )
    finished = []
    await suite.run(results, lambda scenario: finished.append(scenario.name))
    assert finished == list(scenarios)
    return [program for _, program in done], results


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({}, ["paas-runner", "1.1.1", "paas-runner", "1.1.1"]),
        ({"floor": True}, ["paas-runner", "1.1.1", "floor", "paas-runner", "1.1.1"]),
        ({"peer_once": True}, ["paas-runner", "1.1.1", "paas-runner"]),
        ({"peer": False}, ["paas-runner", "paas-runner"]),
        ({"once": True}, ["paas-runner", "1.1.1"]),
    ],
)
async def test_both_programs_have_their_turns(options, order):
    done, _ = await turns({"first": options})
    assert done == order


async def test_what_takes_1_1_1_too_long_is_cut_short_and_ours_is_given_more_time():
    _, results = await turns({"first": {}}, rounds=1)
    measured = results.measured["first"]
    assert measured["1.1.1"] == [{"patience": 7}]
    assert measured["paas-runner"][0]["patience"] > 7


async def test_a_scenario_that_fails_is_told_and_the_others_are_measured():
    done, results = await turns({"broken": {}, "sound": {}}, rounds=1)
    assert results.failures == ["broken, paas-runner: no such thing"]
    assert done == ["paas-runner", "1.1.1"] * 2
    assert set(results.measured["sound"]) == {"paas-runner", "1.1.1"}
