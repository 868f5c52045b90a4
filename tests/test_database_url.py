"""The address of a database: what people mistype is found, and no credential is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.addresses import AddressError
from paas_runner.database_url import database_url
from paas_runner.secret import Secret


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("postgresql://paas@db.internal/paas", "postgresql://paas@db.internal/paas"),
        ("postgres://paas:canary@db:5433/paas?sslmode=verify-full", "postgres://paas@db:5433/paas"),
        ("postgresql://a,b:5433,[::1]:5434/x?target_session_attrs=any", "postgresql://a,b:5433,[::1]:5434/x"),
        ("postgresql:///paas?host=/run/postgresql&password=canary", "postgresql:///paas"),
        ("postgresql://p@%2Frun%2Fpostgresql/paas", "postgresql://p@%2Frun%2Fpostgresql/paas"),
        ("postgresql://db", "postgresql://db"),
        ("postgresql://:5433/paas", "postgresql://:5433/paas"),
    ],
)
def test_an_address_shows_neither_passwords_nor_parameters(text, title):
    found = database_url(text)
    assert str(found) == found.title == title
    assert found.url.reveal() == text
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "mysql://db/paas",
        "postgresql:paas",
        "/var/lib/paas.db",
        "postgresql://paas:can@ary@db/paas",
        "postgresql://paas:can/ary@db/paas",
        "postgresql://paas:can?ary@db/paas",
        "postgresql://paas:can#ary@db/paas",
        "postgresql://paas:%zcanary@db/paas",
        "postgresql://paas@db:canary/paas",
        "postgresql://paas@db:99999/canary",
        "postgresql://paas@-canary-/paas",
        f"postgresql://db/{'canary' * 500}",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text):
    with pytest.raises(AddressError) as refused:
        database_url(text)
    assert "can" not in str(refused.value).replace("cannot", "")


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_any_password_may_stand_beside_the_address(password):
    found = database_url("postgresql://paas@db/paas?sslmode=require").with_password(Secret(password))
    assert database_url(found.url.reveal()) == found
    assert [each.reveal() for each in found.passwords] == [password]
    assert str(found) == "postgresql://paas@db/paas"


def test_a_password_may_stand_beside_an_address_without_a_user():
    found = database_url("postgresql://db:1/paas").with_password(Secret("canary"))
    assert found.url.reveal() == "postgresql://:canary@db:1/paas"
