"""Credentials in the store: encrypted, bound to what they are, and never given back (§8)."""

import base64
import random
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.access.policy import Access
from paas_pipelines.credentials.envelope import Keys, SealError
from paas_pipelines.credentials.masking import MaskedOutput, Starred, forms, unread
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.vault import CredentialError, Vault
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.opening import opened

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Entrusted
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec
from paas_runner.pipelines.states import HeldBack
from paas_runner.secret import Secret
from tests.support.memory_journal import MemoryJournal
from tests.support.often import often

OLD, NEW = (Secret(base64.b64encode(letter * 32).decode()) for letter in (b"o", b"n"))


def now():
    return datetime(2026, 3, 1, tzinfo=UTC)


async def vault_on(journal, *keys, **configured):
    stored = await StoredCredentials.open(journal, Keys(keys), now)
    return Vault(stored=stored, access=Access.open(), audit=Audit(journal, now), configured=configured)


async def test_values_are_read_back_after_a_restart_and_are_nowhere_in_clear():
    journal = MemoryJournal()
    vault = await vault_on(journal, OLD)
    vault.put("db", "username_password", {"username": "app", "password": "canary-password"})
    assert not any("canary" in text for text in journal.texts.values())
    assert "canary" not in repr(vault.described())
    again = await vault_on(journal, OLD)
    assert (await again.value(FromCredential(name="db"))).reveal() == "canary-password"
    assert (await again.value(FromCredential(name="db", field="username"))).reveal() == "app"


async def test_what_was_sealed_for_one_opens_for_no_other():
    journal = MemoryJournal()
    vault = await vault_on(journal, OLD)
    vault.put("low", "text", {"value": "something harmless"})
    vault.put("high", "text", {"value": "canary-password"})
    low, high = (vault.stored[name].newest.envelope for name in ("low", "high"))
    stored = vault.stored._known["low"]
    mixed = attrs.evolve(stored, versions=(attrs.evolve(stored.newest, envelope=high),))
    vault.stored._known["low"] = mixed
    with pytest.raises(CredentialError, match="was changed, or belongs to another one"):
        await vault.value(FromCredential(name="low"))
    assert low != high


async def test_rekey_leaves_nothing_of_the_old_key():
    journal = MemoryJournal()
    vault = await vault_on(journal, OLD)
    vault.put("a", "text", {"value": "canary-password"})
    vault.put("b", "text", {"value": "canary-password"})
    both = await vault_on(journal, NEW, OLD)
    assert both.rekey() == 2
    assert both.rekey() == 0
    new = await vault_on(journal, NEW)
    assert (await new.value(FromCredential(name="a"))).reveal() == "canary-password"
    with pytest.raises(CredentialError, match="is not among credential_keys"):
        await (await vault_on(journal, OLD)).value(FromCredential(name="a"))


async def test_without_a_key_nothing_is_stored():
    with pytest.raises(CredentialError, match="see credential_keys") as refused:
        (await vault_on(MemoryJournal())).put("a", "text", {"value": "canary-password"})
    assert refused.value.status == 409
    with pytest.raises(SealError):
        Keys([]).sealed({"value": "x"}, "a")


@pytest.mark.parametrize(
    ("name", "type_name", "values", "told"),
    [
        ("a", "exec", {"command": "rm"}, '"type" must be one of docker|"type" must be one of text'),
        ("a", "text", {"valu": "canary"}, "did you mean `value`"),
        ("a", "text", {"value": 7}, "value must be a text"),
        ("a", "username_password", {"username": "app"}, "type username_password needs password"),
        ("a/b", "text", {"value": "canary"}, "no slash"),
        ("", "text", {"value": "canary"}, "1 to 100"),
        ("a", "docker", {"registry": "r", "command": "x"}, "has no field"),
    ],
)
async def test_what_is_wrong_is_told_without_the_value(name, type_name, values, told):
    vault = await vault_on(MemoryJournal(), OLD)
    with pytest.raises(CredentialError, match=told) as refused:
        vault.put(name, type_name, values)
    assert "canary" not in str(refused.value)
    assert list(vault.names()) == []


class Kept:
    def __init__(self):
        self.out = b""

    def stdout(self, data):
        self.out += data

    stderr = stdout


secrets = st.text(min_size=8, max_size=30).filter(lambda text: len(text.strip()) >= 8)


@settings(max_examples=often(100), deadline=None)
@given(secrets, st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_no_form_comes_through_however_the_stream_is_cut(value, before, after, data):
    for form in forms(Secret(value)):
        stream = before + form.encode(errors="replace") + after
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
        kept = Kept()
        output = MaskedOutput(kept, [Secret(value)])
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            output.stdout(stream[start:end])
        output.close()
        assert form.encode(errors="replace") not in kept.out


@given(secrets, st.binary(max_size=7), st.binary(max_size=7))
@settings(max_examples=often(100), deadline=None)
def test_a_value_inside_of_something_that_is_encoded_is_found(value, before, after):
    text = base64.b64encode(before + value.encode(errors="replace") + after).decode()
    assert any(form in text for form in forms(Secret(value)))


@settings(max_examples=often(100), deadline=None)
@given(secrets, st.binary(max_size=20), st.binary(max_size=20), st.data())
def test_a_trace_keeps_its_length_and_shows_nothing_of_a_secret_at_any_cut(value, before, after, data):
    """Nor at a kill, nor between two pieces; and without a kill a cut changes nothing in the end."""
    processes = [Starred([Secret(value)]) for _ in range(2)]
    for form in forms(Secret(value)):
        text = form.encode(errors="replace")
        stream, inside = before + text + after, slice(len(before), len(before) + len(text))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
        kills = data.draw(st.booleans())
        whole = processes[0](stream, HeldBack())[0]
        for state in traced(processes if kills else processes[:1], stream, cuts):
            told = zip(state[inside], text, strict=False)
            assert not any(a == b for a, b in told if b != ord("*"))
        assert len(state) == len(stream)
        other = {a for a, b in zip(state, whole, strict=True) if a != b}
        assert other <= ({ord("*")} if kills else set())


def traced(processes, stream, cuts):
    """What is kept of a stream after each piece, by each process in turn; a record goes between them."""
    held_back, kept = HeldBack(), b""
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(stream)], strict=True)):
        shown, held_back = processes[number % len(processes)](stream[start:end], held_back)
        kept = kept[: end - len(shown)] + shown
        yield kept


@pytest.mark.parametrize("kill", [False, True])
def test_every_cut_of_a_trace_with_secrets_that_overlap(kill):
    """One begins in another, one is inside of another; what only seemed to be one is shown later."""
    secrets = [Secret("abcdefgh-ijkl"), Secret("ijkl-mnopqrs"), Secret("fgh-ijkl-mnop")]
    stream = b"abcdefgh abcdefgh-ijkl ijkl-mnopqrs abcdefgh-ijkl-mnopqrs ijkl-mno abcdefgh-ijkl-mnopq!"
    whole = Starred(secrets)(stream, HeldBack())[0]
    assert whole.startswith(b"abcdefgh ************* ")
    hidden = [at for at, byte in enumerate(whole) if byte == ord("*")]
    processes = [Starred(secrets) for _ in range(2 if kill else 1)]
    for first in range(len(stream)):
        for second in range(first, len(stream)):
            for kept in traced(processes, stream, [first, second]):
                assert all(kept[at] == ord("*") for at in hidden if at < len(kept))
            if not kill:
                assert kept == whole


def test_after_a_kill_nothing_is_taken_for_the_rest_of_another_secret():
    _, held_back = Starred([Secret("first-secret")])(b"is first", HeldBack())
    shown, held_back = Starred([Secret("other")])(b"-secret\n", held_back)
    assert shown == b"-secret\n"
    shown, _ = Starred([Secret("another-one")])(b"-secret\n", attrs.evolve(held_back, state=10**9, count=3))
    assert shown == b"-secret\n"


def test_of_a_trace_whose_secrets_are_not_known_any_more_the_lines_are_left():
    assert unread(b"one\ntwo", HeldBack()) == (b"***\n***", HeldBack())


def test_a_job_elsewhere_waits_for_its_credentials_and_its_trace_is_kept_without_them():
    """Also between a restart and the moment when they are known again."""
    options = CoordinatorOptions(registration_token=Secret("r" * 20), admin_token=Secret("a" * 20))
    coordinator = Coordinator(now, options, random.Random(1))
    runner = coordinator.runners.ensure(Secret("token-of-a-runner"), description="any").runner_id
    job_id = coordinator.submit_job(JobSpec(name="a", script=("x",), entrusted=True)).job_id
    assert coordinator.acquire(runner) is None
    entrusted = Entrusted(hidden=Starred([Secret("canary-password")]))
    coordinator.entrust(job_id, entrusted)
    assert coordinator.acquire(runner).job_id == job_id
    assert coordinator.append_trace(job_id, 0, b"is canary-pass").status == 202
    coordinator.forget_entrusted(job_id)
    assert coordinator.append_trace(job_id, 14, b"word, and more").status == 416
    coordinator.entrust(job_id, entrusted)
    assert coordinator.append_trace(job_id, 14, b"word, and more").status == 202
    assert coordinator.trace(job_id) == b"is ***************, and more"


async def test_what_may_be_the_beginning_of_a_secret_is_known_to_the_next_server(tmp_path):
    """Killed after the first piece, wherever that ends: with the book on the disk."""
    secret, stream = Secret("canary-password"), b"it is canary-password, or canary-passage\n"
    options = CoordinatorOptions(registration_token=Secret("r" * 20), admin_token=Secret("a" * 20))
    for cut in range(0, len(stream), 3):
        shown = b"it is ***************, or canary-passage\n"
        if b"canary-pass".startswith(begun := stream[26:cut]):  # and what the next server cannot know
            shown = shown.replace(b"or " + begun, b"or " + b"*" * len(begun))
        async with opened(tmp_path / str(cut), most_log_bytes=10_000) as store:
            coordinator = Coordinator(now, options, random.Random(1), store.jobs)
            runner = coordinator.runners.ensure(Secret("token-of-a-runner"), description="any").runner_id
            job_id = coordinator.submit_job(JobSpec(name="a", script=("x",), entrusted=True)).job_id
            coordinator.entrust(job_id, Entrusted(hidden=Starred([secret])))
            coordinator.acquire(runner)
            assert coordinator.append_trace(job_id, 0, stream[:cut]).status == 202
            await store.journal.flushed()
        async with opened(tmp_path / str(cut), most_log_bytes=10_000) as store:
            coordinator = Coordinator(now, options, random.Random(2), store.jobs)
            coordinator.entrust(job_id, Entrusted(hidden=Starred([secret])))
            assert coordinator.append_trace(job_id, cut, stream[cut:]).status == 202
            assert coordinator.trace(job_id) == shown
            await store.journal.flushed()
