"""A connection to the server, one that takes writes, with settings of ours; and what goes wrong, in words.

Several hosts in the address are tried in their order, until one is found that is no read-only replica. TCP
tells within seconds of a server that is gone without a word; whatever else in the address is wanted counts.
Nothing that is said here has a credential in it.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, LiteralString, NoReturn

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict

from paas_runner.secret import Secret
from paas_runner.store.postgres.texts import take_texts
from paas_runner.store.protocol import StoreError, StoreUnreachableError

SCHEMA = "paas_runner"
"""All tables are in a schema of this name: a database can be shared with others."""

OLDEST_SERVER = 14
"""Its `pg_terminate_backend` waits for the end."""

ENCODINGS = frozenset({"UTF8", "SQL_ASCII"})
"""Of databases that take all texts: a single job whose name is refused could never be brought to its end."""

HOST_SECONDS = 2
"""How long one host may take to answer; libpq takes no shorter time."""

_USUAL: Mapping[str, str] = {
    "application_name": "paas-runner",
    "connect_timeout": str(HOST_SECONDS),
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "5000",  # milliseconds
}
_OURS: Mapping[str, str] = {"client_encoding": "utf8"}

_SETTINGS = f"""
SELECT
    set_config('search_path', '{SCHEMA}', false),
    set_config('TimeZone', 'UTC', false),
    set_config('DateStyle', 'ISO', false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('statement_timeout', '30s', false),
    set_config('lock_timeout', '2s', false),
    set_config('idle_in_transaction_session_timeout', '5s', false),
    set_config('idle_session_timeout', '0', false),
    set_config('jit', 'off', false),
    CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN set_config('synchronous_commit', 'on', false) END
"""
_OF_A_SERVICE = f"""
{_SETTINGS},
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false)
"""
"""Plans are made once, while tables may still be empty: they go by the indices all the same.

What has no index then looks so dear that the server would compile it first, a third of a second long.
"""

_FOR_LONG = """
SELECT
    set_config('statement_timeout', '0', false),
    set_config('idle_in_transaction_session_timeout', '0', false)
"""
_SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END_SESSION = (
    "SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
)

_OF_THE_WAY = frozenset({"08", "25", "53", "55", "57", "58"})
"""Classes of states: connection, read-only, resources, locks, an operator's doing, the system's errors."""

ADVICE: Mapping[type[psycopg.Error], str] = {
    psycopg.errors.DiskFull: "Make room on the server: nothing is acquired until it takes records again",
    psycopg.errors.ReadOnlySqlTransaction: "It is a replica, or was made one: name all hosts in the address",
    psycopg.errors.InsufficientPrivilege: "The user has to own the tables, or the right to make them there",
    psycopg.errors.LockNotAvailable: "Another session has locked the records",
}


@attrs.frozen
class Session:
    """What a server knows a connection as."""

    pid: int
    since: datetime


@attrs.frozen(kw_only=True)
class Server:
    """Where the database is; made by `at`."""

    place: str
    """For people: no user, no credential."""

    hosts: int
    _parameters: Mapping[str, Any] = attrs.field(repr=False)

    @classmethod
    def at(cls, url: Secret) -> "Server":
        """Read an address as libpq takes it; raises `StoreError`, which quotes nothing of it."""
        try:
            given = conninfo_to_dict(url.reveal())
        except (psycopg.Error, ValueError):
            raise StoreError(
                "the address of the store cannot be understood, or has a parameter that libpq does not know: "
                "postgresql://user@host:5432/database was expected"
            ) from None
        hosts = str(given.get("host") or given.get("hostaddr") or "").split(",")
        ports = str(given.get("port") or "").split(",")
        named = [
            f"{host}:{port}" if port else host for host, port in zip(hosts, _each(ports, hosts), strict=False)
        ]
        return cls(
            place=f"postgresql://{','.join(named)}/{given.get('dbname', '')}",
            hosts=len(hosts),
            parameters={**_USUAL, **given, **_OURS},
        )

    async def connect(self) -> "psycopg.AsyncConnection[tuple[Any, ...]]":
        """A connection in autocommit; raises `StoreUnreachableError` or another `StoreError`."""
        connection = None
        try:
            connection = await psycopg.AsyncConnection.connect(
                **{**self._parameters, "target_session_attrs": "read-write"}, autocommit=True
            )
            _refuse_unfit(connection, self.place)
            take_texts(connection)
            await connection.execute(_OF_A_SERVICE)
        except BaseException as error:  # noqa: BLE001 - raised again
            if connection:
                await connection.close()
            self.complain(error)
        return connection

    def connect_to_read(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection that waits, and never writes; of several hosts to the one that takes records.

        A replica, which may be behind, is read where there is no other.
        """
        settings: LiteralString = "SET default_transaction_read_only = on"
        if self.hosts > 1:
            with suppress(StoreUnreachableError):
                sought = {**self._parameters, "target_session_attrs": "read-write"}
                return self._connect_and_wait(sought, settings)
        return self._connect_and_wait(self._parameters, settings)

    def connect_to_copy(self, *, writing: bool) -> "psycopg.Connection[tuple[Any, ...]]":
        """One whose transaction may last: to read everything, or to write it."""
        sought = {"target_session_attrs": "read-write" if writing else "primary"}
        return self._connect_and_wait({**self._parameters, **sought}, _FOR_LONG)

    def _connect_and_wait(
        self, parameters: Mapping[str, Any], settings: LiteralString
    ) -> "psycopg.Connection[tuple[Any, ...]]":
        connection = None
        try:
            connection = psycopg.connect(**parameters, autocommit=True)
            _refuse_unfit(connection, self.place)
            connection.execute(_SETTINGS)
            connection.execute(settings)
        except BaseException as error:  # noqa: BLE001 - raised again
            if connection:
                connection.close()
            self.complain(error)
        return connection

    def complain(self, error: BaseException) -> NoReturn:
        """Raise what `error` is in our words; what is not the database's stays as it is."""
        raise self.told(error) from (error if isinstance(error, psycopg.Error) else None)

    def told(self, error: BaseException) -> BaseException:
        """The same, returned."""
        if not isinstance(error, psycopg.Error | TimeoutError | OSError):
            return error
        text = " ".join(str(error).split()) or "it does not answer in time"
        for name in ("password", "sslpassword"):
            if secret := self._parameters.get(name):
                text = text.replace(str(secret), "[secret]")
        advice = next((f". {advice}" for kind, advice in ADVICE.items() if isinstance(error, kind)), "")
        kind = StoreUnreachableError if is_of_the_way(error) else StoreError
        return kind(f"{self.place}: {text}{advice}")


def is_of_the_way(error: BaseException) -> bool:
    """Whether it is about the server or the way to it, rather than about what it was asked."""
    match error:
        case psycopg.Error(sqlstate=str(state)):
            return state[:2] in _OF_THE_WAY
        case psycopg.OperationalError() | psycopg.InterfaceError() | OSError():
            return True
        case _:
            return False


async def session_of(connection: "psycopg.AsyncConnection[tuple[Any, ...]]") -> Session | None:
    row = await (await connection.execute(_SESSION)).fetchone()
    return Session(*row) if row else None


async def end_session(connection: "psycopg.AsyncConnection[tuple[Any, ...]]", session: Session) -> None:
    """Nothing that was sent in that session takes effect from now on; raises psycopg.OperationalError.

    Its server may have stood still with a statement of ours in hand, and would come with it at any time.
    """
    row = await (await connection.execute(_END_SESSION, (session.pid, session.since))).fetchone()
    if row and not row[0]:
        raise psycopg.OperationalError("an earlier session of ours does not end")


def _each(ports: list[str], hosts: list[str]) -> list[str]:
    return ports * len(hosts) if len(ports) == 1 else ports


def _refuse_unfit(connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]", place: str) -> None:
    if connection.info.server_version < OLDEST_SERVER * 10_000:
        raise StoreError(f"{place}: is older than PostgreSQL {OLDEST_SERVER}, which this program needs")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in ENCODINGS:
        raise StoreError(
            f"{place}: is a database with encoding {encoding}, which cannot take every name of a job; make "
            "one with ENCODING 'UTF8' TEMPLATE template0"
        )
