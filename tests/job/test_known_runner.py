"""Which runner a section is, when tokens and names change."""

from hypothesis import example, given
from hypothesis import strategies as st

from paas_runner.job.known_runner import KnownRunner, RunnerIdentity, recognised, remembered

URL = "https://gitlab.example"


def identity(token, name="one", url=URL):
    return RunnerIdentity(token=token, url=url, name=name)


def known(*tokens, name="one", url=URL, paused=False):
    return KnownRunner(key=tokens[0], url=url, name=name, tokens=tokens, paused=paused)


def test_a_runner_that_nobody_has_seen_is_known_by_its_token():
    assert recognised([identity("aaaa")], []) == [known("aaaa")]


def test_a_runner_with_another_token_is_the_same_by_address_and_name():
    assert recognised([identity("bbbb")], [known("aaaa")]) == [known("aaaa", "bbbb")]


def test_a_runner_with_another_name_or_address_is_the_same_by_its_token():
    moved = identity("bbbb", name="two", url="https://elsewhere.example")
    [found] = recognised([moved], [known("aaaa", "bbbb")])
    assert (found.key, found.name, found.url) == ("aaaa", "two", "https://elsewhere.example")


def test_a_token_that_comes_back_is_the_runner_that_had_it():
    [found] = recognised([identity("aaaa", name="two")], [known("aaaa", "bbbb")])
    assert (found.key, found.tokens) == ("aaaa", ("bbbb", "aaaa"))


def test_another_token_at_another_address_is_another_runner():
    assert recognised([identity("bbbb", url="https://elsewhere.example")], [known("aaaa")])[0].key == "bbbb"


def test_of_two_sections_alike_nobody_can_tell_whose_token_was_rotated():
    found = recognised([identity("bbbb"), identity("cccc")], [known("aaaa")])
    assert [runner.key for runner in found] == ["bbbb", "cccc"]


def test_of_two_known_runners_alike_nobody_can_tell_which_one_has_another_token():
    assert recognised([identity("cccc")], [known("aaaa"), known("bbbb")])[0].key == "cccc"


def test_of_two_runners_alike_the_one_whose_token_stayed_is_recognised_and_so_is_the_other():
    found = recognised([identity("aaaa"), identity("cccc")], [known("aaaa"), known("bbbb")])
    assert [runner.key for runner in found] == ["aaaa", "bbbb"]


def test_runners_that_exchange_their_names_keep_their_keys():
    found = recognised(
        [identity("aaaa", name="two"), identity("bbbb", name="one")],
        [known("aaaa", name="one"), known("bbbb", name="two")],
    )
    assert [(runner.key, runner.name) for runner in found] == [("aaaa", "two"), ("bbbb", "one")]


def test_two_sections_with_tokens_of_one_runner_are_two_runners():
    found = recognised([identity("bbbb"), identity("aaaa", name="two")], [known("aaaa", "bbbb")])
    assert [runner.key for runner in found] == ["bbbb", "aaaa"]


def test_a_token_that_several_runners_have_had_is_the_one_whose_latest_it_is():
    several = [known("aaaa", "cccc"), known("bbbb", "cccc", "dddd")]
    [found] = recognised([identity("cccc", name="two")], several)
    assert found.key == "aaaa"


def test_a_pause_outlives_the_token():
    assert recognised([identity("bbbb")], [known("aaaa", paused=True)])[0].paused


def test_runners_that_are_gone_are_remembered():
    gone, rotated = known("aaaa", name="gone"), known("bbbb", "cccc")
    assert remembered([gone, known("bbbb")], [rotated]) == [gone, rotated]


tokens = st.sampled_from(["aaaa", "bbbb", "cccc", "dddd", "eeee"])
sections = st.lists(
    st.builds(identity, tokens, name=st.sampled_from(["one", "two"])),
    max_size=4,
    unique_by=lambda each: each.token,
)


MOVED_TOKEN = [
    [identity("bbbb"), identity("dddd")],
    [identity("aaaa"), identity("bbbb")],
    [identity("aaaa"), identity("cccc", name="two"), identity("dddd")],
    [identity("aaaa", name="two"), identity("bbbb")],
]
"""`aaaa` is first another token of the runner `dddd`, then one of `bbbb`, then of `dddd` again."""


@given(st.lists(sections, max_size=6))
@example(MOVED_TOKEN)
def test_whatever_changes_keys_are_never_shared_and_unchanged_files_change_nothing(files):
    seen = []
    for file in files:
        present = recognised(file, seen)
        assert len({runner.key for runner in present}) == len(file)
        seen = remembered(seen, present)
        assert recognised(file, seen) == present
        assert len({runner.key for runner in seen}) == len(seen)
