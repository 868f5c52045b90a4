"""A plugin of any kind declares its keys and gets its table read as executors do."""

from pathlib import Path

import attrs
import pytest

from paas_runner.config.complaints import Findings
from paas_runner.config.reader import Reader
from paas_runner.config.secret_references import Surroundings
from paas_runner.secret import Secret
from paas_runner.setting_types import GoDuration
from paas_runner.settings import declared, keys_of, setting


@attrs.frozen(kw_only=True)
class VaultSettings:
    password: Secret = setting("what opens it")
    path: str = setting("where it is", default="/", key="vault-path")
    kept_for: GoDuration | None = setting("how long what was read is used", default=None)

    def problems(self):
        if not self.path.startswith("/"):
            yield "vault-path", "must begin with /"


class Vault:
    settings = VaultSettings


def not_importable():
    raise ImportError("no module named hvac")


def read(table, **plugins):
    around = Surroundings(environ={"PASSWORD": "open sesame"}, folder=Path("/"))
    reader = Reader(findings=Findings(), around=around, aliases={})
    at = ("credentials", 0)
    found = reader.plugin(
        table, at, plugins or {"vault": Vault}, key="kind", name=table["kind"], known={"kind", "name"}
    )
    return found, [(fault.at[2:], fault.found, fault.hint) for fault in reader.findings.faults]


def test_its_keys_are_read_from_the_table_that_names_it_with_their_types_and_names():
    found, faults = read({"kind": "vault", "name": "x", "password": "env:PASSWORD", "kept_for": "1m"})
    assert not faults
    assert (found.password.reveal(), found.path, found.kept_for.total_seconds()) == ("open sesame", "/", 60)


@pytest.mark.parametrize(
    ("more", "at", "said"),
    [
        ({"passwort": "p"}, ("passwort",), "did you mean `password`?"),
        ({"vault-path": "x"}, ("vault-path",), "must begin with /"),
        ({"kept_for": "soon"}, ("kept_for",), '"soon" (text)'),
        ({"kind": "vautl"}, ("kind",), "did you mean `vault`?"),
    ],
)
def test_each_fault_is_noted_at_its_key(more, at, said):
    found, [(where, text, hint)] = read({"kind": "vault", "password": "p"} | more)
    assert found is None
    assert where == at
    assert said in (text, hint)


def test_without_the_plugin_no_other_key_is_called_unknown():
    found, faults = read({"kind": "vault", "password": "p", "zone": "par"}, vault=not_importable)
    assert found is None
    assert faults == [(("kind",), "the kind vault cannot be loaded: no module named hvac", "")]


def test_what_is_declared_can_be_asked_for():
    assert keys_of(VaultSettings) == {"password", "vault-path", "kept_for"}
    assert [key.written for key in declared(VaultSettings) if key.required] == ["password"]
    assert [key.kind for key in declared(VaultSettings)] == [Secret, str, GoDuration]
