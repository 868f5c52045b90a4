"""The page of a plan has all of it, tells what failed, and keeps secrets; what users wrote stays text."""

import re
import time
from html.parser import HTMLParser

import attrs
import pytest
from hypothesis import given, settings
from paas_plans.plan import ActionError, CheckKind, Status, path_words
from paas_plans.registry import Registry
from paas_plans.report import page
from paas_plans.secret import HIDDEN, secret
from paas_plans.stores.memory import MemoryStore
from paas_plans.walk import replaced, walk
from paas_plans.workstream import Workstream

from tests.plans import generated_plans
from tests.plans.plans_to_show import (
    action,
    at,
    failed_plan,
    identified,
    large_plan,
    running_plan,
    state,
    tried,
)
from tests.plans.plugins import Works, taking
from tests.plans.small_plans import block, plan, sequence

EVIL = "<script>alert(1)</script>\"'&amp;</pre>$name\x00\ud800\u202e"


class _Parts(HTMLParser):
    """Every part of the page by its id: its status, its text, its bars; and the tags that there are."""

    VOID = frozenset({"meta", "link", "input", "li", "rect"})

    def __init__(self, text):
        super().__init__()
        self.parts, self.tags, self.links, self._within = {}, [], [], []
        self.feed(text)
        assert self._within == []

    def handle_starttag(self, tag, pairs):
        given = dict(pairs)
        self.tags.append(tag)
        if tag == "rect":
            self._part()["bars"].append((given["class"], *(float(given[x][:-1]) for x in ("x", "width"))))
        if tag == "a":
            self.links.append(given["href"])
        if tag not in self.VOID:
            if tag == "details":
                new = {"status": given["data-s"], "text": "", "bars": [], "open": "open" in given}
                self.parts[given["id"]] = new
            self._within.append((tag, given.get("id")))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self._within.pop()[0] == tag

    def handle_data(self, data):
        if any(tag == "details" for tag, _ in self._within):
            self._part()["text"] += f" {data}"

    def _part(self):
        return self.parts[[given for tag, given in self._within if tag == "details"][-1]]


def parts(shown, *, now=100):
    return _Parts(page(shown, now=at(now))).parts


@given(generated_plans.plans())
@settings(max_examples=30)
def test_every_object_of_a_plan_is_a_part_of_its_page_in_its_place(shown):
    found = parts(shown)
    assert list(found) == [path_words(step.path) for step in walk(shown)]
    for step in walk(shown):
        part = found[path_words(step.path)]
        assert part["status"] == step.item.state.status.name.lower()
        assert step.item.state.status.words in part["text"]
        assert not hasattr(step.item, "name") or step.item.name in part["text"]


def test_ids_groups_and_times_are_shown():
    shown = failed_plan()
    found = parts(shown)
    for step in walk(shown):
        assert str(step.item.id) in found[path_words(step.path)]["text"]
    assert str(shown.group_id) in found["plan"]["text"]
    assert "submitted 2026-03-14 09:26:33.589" in re.sub(r"\s+", " ", found["plan"]["text"])
    assert "2026-03-14 09:26:57.089" in found["blocks[0]"]["text"]
    assert "11.1 s" in found["blocks[0]"]["text"]


def test_each_status_has_its_word_its_sign_and_its_colour():
    text = page(failed_plan(), now=at(100)) + page(running_plan(), now=at(30))
    for status, sign in zip(Status, "○◐✓✕■", strict=True):
        if status is not Status.STOPPED:
            assert (
                f'</span><span class="status {status.name.lower()}">{sign} {status.words}</span><span>'
                in text
            )
        assert f"rect.{status.name.lower()} {{ fill:" in text


def test_progress_is_told_of_blocks_and_of_checks():
    found = parts(failed_plan())
    assert "1 of 2 blocks, 1 failed" in found["plan"]["text"]
    assert "1 of 4 sequences, 2 failed" in found["blocks[1]"]["text"]
    assert "1 of 1 actions" in found["pre_checks"]["text"]
    assert "0 of 1 actions" in found["post_checks"]["text"]


@pytest.mark.parametrize("kind", CheckKind)
def test_checks_of_each_kind_are_called_by_it(kind):
    shown = failed_plan()
    if getattr(shown, kind.field) is None:
        pytest.fail("the plan to show has checks of each kind")
    assert f"{kind} checks" in parts(shown)[kind.field]["text"]


def test_attempts_are_shown_with_request_response_and_error():
    text = parts(failed_plan())["blocks[0].sequences[0].actions[0]"]["text"]
    for words in (
        '{"host": "host-1", "files": ["edge.tar.zst", "edge.toml"]}',
        "Attempt 1, 2026-03-14 09:26:57.589: failed in 1.2 s",
        "connection refused by host-2:22 (code 111, cause: ConnectionRefusedError(111))",
        "Attempt 2, 2026-03-14 09:27:00.789: completed in 1.8 s",
        '{"bytes": 18322144, "sha256": "9f86d081"}',
    ):
        assert words in text


def test_bars_show_attempts_and_what_was_waited_between_them():
    bars = parts(failed_plan())["blocks[0].sequences[0].actions[0]"]["bars"]
    assert [words for words, _, _ in bars] == ["failed", "wait", "completed"]
    assert [width for *_, width in bars] == pytest.approx([1.2 / 0.366, 2 / 0.366, 1.8 / 0.366], abs=0.1)
    assert bars[0][1] == pytest.approx(4 / 0.366, abs=0.1)


def test_bars_of_a_running_plan_end_now():
    found = parts(running_plan(), now=30)
    for name in (
        "plan",
        "blocks[1]",
        "blocks[1].sequences[0].actions[1]",
        "blocks[1].sequences[1].actions[0]",
    ):
        _, x, width = found[name]["bars"][-1]
        assert x + width == pytest.approx(100, abs=0.15)
    assert [words for words, *_ in found["blocks[1].sequences[1].actions[0]"]["bars"]] == ["failed", "wait"]
    assert "until 2026-03-14 09:27:33.589" in re.sub(
        r"\s+", " ", found["blocks[1].sequences[1].actions[0]"]["text"]
    )
    assert found["blocks[1].sequences[2]"]["bars"] == []
    assert 'data-s="running"' in page(running_plan(), now=at(30))


def test_a_further_attempt_in_progress_is_on_the_bar():
    again = attrs.evolve(
        action("again", tried(10, 14, ActionError(message="no"))), state=state(Status.RUNNING, 10)
    )
    shown = replaced(running_plan(), ("blocks", 1, "sequences", 1, "actions", 0), again)
    bars = parts(shown, now=30)["blocks[1].sequences[1].actions[0]"]["bars"]
    assert [words for words, *_ in bars] == ["failed", "running"]


def test_what_failed_is_told_first_with_a_link_and_is_open():
    told = _Parts(page(failed_plan(), now=at(100)))
    failed = ["blocks[1].sequences[1].actions[1]", "blocks[1].sequences[2].actions[1]"]
    assert told.links == [f"#{path}" for path in failed]
    for path in (*failed, "blocks[1]", "blocks[1].sequences[1]"):
        assert told.parts[path]["open"]
    assert not told.parts["blocks[1].sequences[0]"]["open"]
    assert "<small>block</small>" in page(failed_plan(), now=at(100))


def test_a_failed_bypass_check_is_no_failure():
    assert "#bypass_checks" not in page(failed_plan(), now=at(100))


def test_what_users_and_plugins_wrote_stays_text():
    shown = failed_plan()
    evil = action(
        EVIL,
        tried(0, 1, ActionError(message=EVIL, cause=EVIL), {EVIL: [EVIL]}),
        request={EVIL: EVIL},
        description=EVIL,
        plugin=EVIL,
    )
    shown = replaced(shown, ("blocks", 0, "sequences", 0, "actions", 0), evil)
    shown = attrs.evolve(shown, name=EVIL, description=EVIL)
    text = page(shown, now=at(100))
    plain = _Parts(page(failed_plan(), now=at(100)))
    assert _Parts(text).tags.count("script") == plain.tags.count("script") == 1
    assert set(_Parts(text).tags) == set(plain.tags)
    assert text.encode()  # no half of a character either


def test_long_texts_are_cut_where_they_would_make_the_page_too_large():
    shown = large_plan(100)
    for index in range(100):
        path = ("blocks", 0, "sequences", index, "actions", 0)
        shown = replaced(shown, path, action("much", tried(0, 1, response="x" * 100_000)))
    text = page(shown, now=at(400))
    assert len(text.encode()) < 3_000_000
    assert "characters more" in text


def test_only_the_script_of_the_page_may_run_on_it():
    policy = re.search(r"script-src '([^']+)'", page(large_plan(1), now=at(400)))
    assert policy
    assert policy[1].startswith("sha256-")


def test_secrets_are_not_on_the_page_whoever_made_the_plan():
    @attrs.frozen
    class Login:
        user: str
        password: str = secret()

    hidden = action(
        "log in", tried(0, 1, response=[Login("ada", "hunter2-r")]), request=Login("ada", "hunter2-q")
    )
    shown = replaced(failed_plan(), ("blocks", 0, "sequences", 0, "actions", 0), hidden)
    text = page(shown, now=at(100))
    assert "hunter2" not in text
    assert text.count(HIDDEN) == 2
    assert "ada" in text


@attrs.frozen
class Entry:
    password: str = secret()


async def test_secrets_are_not_on_the_page_of_a_plan_as_it_comes_from_a_workstream():
    work = Works("work", taking(0, Entry("hunter2-r")), request_type=Entry, response_type=Entry)
    async with Workstream(MemoryStore(), Registry(work)) as ws:
        done = await ws.run(plan(block(sequence("work", request=Entry("hunter2-q")))))
    text = page(done, now=at(100))
    assert "hunter2" not in text
    assert text.count(HIDDEN) == 2


def test_requests_of_any_type_are_shown():
    @attrs.frozen
    class Odd:
        inner: object

    request = Odd({"set": {1}, "bytes": b"x", 7: at(0), (1, 2): "no key of JSON", "inner": Odd(None)})
    shown = plan(block(sequence("one", request=request)))
    assert "2026-03-14" in parts(shown)["blocks[0].sequences[0].actions[0]"]["text"]


def test_a_plan_that_has_not_been_submitted_has_a_page():
    found = parts(plan(block(sequence("one", "two"))))
    assert len(found) == 5
    assert all(part["bars"] == [] for part in found.values())


def test_a_thousand_sequences_make_a_page_of_three_megabytes_at_most_in_two_seconds():
    shown = identified(large_plan())
    begun = time.process_time()
    text = page(shown, now=at(4000))
    assert time.process_time() - begun < 2
    assert len(text.encode()) < 3_000_000
    assert not _Parts(text).parts["blocks[0].sequences[3]"]["open"]


def test_hundreds_of_failures_are_counted_and_the_first_told():
    shown = large_plan(50)
    for index in range(50):
        shown = replaced(
            shown,
            ("blocks", 0, "sequences", index, "actions", 0),
            action("no", tried(0, 1, ActionError(message="no"))),
        )
    text = page(shown, now=at(400))
    assert "Failed actions: 20 of 50" in text
    assert len(_Parts(text).links) == 20


def test_the_page_names_nothing_outside_itself():
    text = page(failed_plan(), now=at(100))
    assert "default-src 'none'" in text
    assert re.findall(r"(?:src|href|action)\s*=\s*\"?([^\"\s>#][^\"\s>]*)", text) == ["data:,"]
    assert "http" not in text.replace("http-equiv", "").replace("http://edge/health", "")
