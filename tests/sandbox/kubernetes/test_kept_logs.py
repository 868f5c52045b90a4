"""Of a long log only its last file can be read, as on a node; whoever follows it has all."""

import asyncio
from datetime import UTC, datetime

from paas_runner.sandbox.kubernetes.pod_logs import MOST_FILE_BYTES, ContainerLog, LogQuery, read_log


async def read(log, **query):
    return b"".join([piece async for piece in read_log(log, LogQuery(**query))])


async def test_a_log_that_grew_beyond_a_file_has_lost_its_beginning_unless_it_was_followed():
    log = ContainerLog(lambda: datetime.now(UTC))
    log.write(b"first\n")
    following = asyncio.create_task(read(log, follow=True))
    await asyncio.sleep(0)
    line = b"x" * 999_999 + b"\n"
    for _ in range(MOST_FILE_BYTES // len(line)):
        log.write(line)
    assert (await read(log)).startswith(b"first\n")
    log.write(line + b"last\n")
    log.close()
    assert await read(log) == line + b"last\n"
    assert await read(log, tail=1) == b"last\n"
    assert (await following).startswith(b"first\nxxx")
