"""The messages of gRPC's `heptapod.runner.PAASResourceRunner`, in and out of protobuf's bytes.

There are seven, of texts, numbers and truths; so their codec is here, and neither end needs the library or
generated modules. The fields are those of 1.1.1's descriptor (proto3):

    Job                    { string runner_name = 1; uint64 job_id = 2; }
    LaunchJobRequest       { Job job = 1; string specification = 2; string config = 3; }
    LaunchJobResponse      {}
    PAASResourceJobStatus  { bool running = 1; int32 exit_code = 2; }
    ForgetJobResponse      { bool was_known = 1; }
    CanTakeJobRequest      {}
    CanTakeJobResponse     { bool can_take_job = 1; }

As proto3 has it, what is absent is empty, the last of several counts, and unknown fields are passed over. All
reading raises ValueError, in words that quote nothing of a message.
"""

from collections.abc import Iterator

from paas_runner.helper.protocol import JobKey, JobStatus, LaunchRequest

EMPTY = b""
"""A `LaunchJobResponse`, and a `CanTakeJobRequest`."""

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_MOST_VARINT_BYTES = 10
_FLAG = 1
"""The number of the only field of those that say yes or no, and of a status's first."""

_EXIT_CODE = 2


def job_to_bytes(job: JobKey) -> bytes:
    """A `Job`."""
    return _text(1, job.runner_name) + _number(2, job.job_id)


def job_from_bytes(message: bytes) -> JobKey:
    """The one in a `Job`."""
    fields = _fields(message)
    return JobKey(_as_text(fields.get(1)), _as_number(fields.get(2))).checked()


def launch_to_bytes(request: LaunchRequest) -> bytes:
    """A `LaunchJobRequest`."""
    job = job_to_bytes(request.job)
    return _bytes(1, job) + _text(2, request.specification) + _text(3, request.config)


def launch_from_bytes(message: bytes) -> LaunchRequest:
    """The one in a `LaunchJobRequest`."""
    fields = _fields(message)
    return LaunchRequest(
        job=job_from_bytes(_as_bytes(fields.get(1))),
        specification=_as_text(fields.get(2)),
        config=_as_text(fields.get(3)),
    )


def status_to_bytes(status: JobStatus) -> bytes:
    """A `PAASResourceJobStatus`."""
    return _number(_FLAG, status.running) + _number(_EXIT_CODE, status.exit_code or 0)


def status_from_bytes(message: bytes) -> JobStatus:
    """The one in a `PAASResourceJobStatus`."""
    fields = _fields(message)
    running = bool(_as_number(fields.get(_FLAG)))
    low = _as_number(fields.get(_EXIT_CODE)) & 0xFFFFFFFF  # an int32 is written as 64 bits, and read as 32
    return JobStatus(running=running, exit_code=None if running else (low ^ 1 << 31) - (1 << 31))


def truth_to_bytes(truth: bool) -> bytes:
    """A `ForgetJobResponse` or a `CanTakeJobResponse`."""
    return _number(_FLAG, truth)


def truth_from_bytes(message: bytes) -> bool:
    """What is in one of those."""
    return bool(_as_number(_fields(message).get(_FLAG)))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode()) if text else b""


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number % (1 << 64)) if number else b""


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The last value of each field by its number."""
    return dict(_read(message))


def _read(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        field, kind = key >> 3, key & 7
        if not 0 < field < 1 << 29:
            raise ValueError("a field of a message has no number")
        if kind == _VARINT:
            number, place = _read_varint(message, place)
            yield field, number
            continue
        if kind == _BYTES:
            length, place = _read_varint(message, place)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError("a field of a message is of no known kind")
        if length > len(message) - place:
            raise ValueError("a message ends in the middle")
        yield field, message[place : place + length]
        place += length


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    number = 0
    for index, byte in enumerate(message[place : place + _MOST_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, place + index + 1
    raise ValueError("a number in a message does not end")


def _as_text(value: int | bytes | None) -> str:
    try:
        return _as_bytes(value).decode()
    except UnicodeDecodeError:
        raise ValueError("a text in a message is no UTF-8") from None


def _as_bytes(value: int | bytes | None) -> bytes:
    if isinstance(value, int):
        raise ValueError("a field of a message is a number, and should be a text")
    return value or b""


def _as_number(value: int | bytes | None) -> int:
    if isinstance(value, bytes):
        raise ValueError("a field of a message is a text, and should be a number")
    return value or 0
