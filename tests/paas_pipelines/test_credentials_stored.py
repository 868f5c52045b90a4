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
from paas_pipelines.credentials.masking import MaskedOutput, Starred, forms
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.vault import CredentialError, Vault
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.store.audit import Audit

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Entrusted
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec
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
def test_a_trace_keeps_its_length_and_shows_three_bytes_at_most(value, before, after, data):
    for form in forms(Secret(value)):
        text = form.encode(errors="replace")
        stream = before + text + after
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
        starred = Starred([Secret(value)])
        pieces = [starred(stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        shown = b"".join(pieces)
        assert len(shown) == len(stream)
        inside = shown[len(before) : len(before) + len(text)]
        assert sum(a == b for a, b in zip(inside, text, strict=True) if b != ord("*")) <= 3


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
