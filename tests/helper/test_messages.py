"""Our codec against protobuf's own, from a descriptor with 1.1.1's fields (rows H132 to H136)."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import example, given
from hypothesis import strategies as st

from paas_runner.helper import messages
from paas_runner.helper.protocol import JobStatus, LaunchRequest
from tests.helper.test_protocol import keys

PACKAGE = "heptapod.runner"
FIELD = descriptor_pb2.FieldDescriptorProto
TYPES = {
    "string": FIELD.TYPE_STRING,
    "uint64": FIELD.TYPE_UINT64,
    "bool": FIELD.TYPE_BOOL,
    "int32": FIELD.TYPE_INT32,
}
MESSAGES = {
    "Job": ["string runner_name", "uint64 job_id"],
    "LaunchJobRequest": ["Job job", "string specification", "string config"],
    "LaunchJobResponse": [],
    "PAASResourceJobStatus": ["bool running", "int32 exit_code"],
    "ForgetJobResponse": ["bool was_known"],
    "CanTakeJobRequest": [],
    "CanTakeJobResponse": ["bool can_take_job"],
}


def reference():
    """Classes of the protobuf library by the names of the messages."""
    file = descriptor_pb2.FileDescriptorProto(name="helper.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field in enumerate(fields, 1):
            kind, _, field_name = field.partition(" ")
            added = message.field.add(name=field_name, number=number, label=FIELD.LABEL_OPTIONAL)
            if kind in TYPES:
                added.type = TYPES[kind]
            else:
                added.type, added.type_name = FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES}
    return {name: message_factory.GetMessageClass(each) for name, each in found.items()}


THEIRS = reference()
launches = st.builds(LaunchRequest, job=keys, specification=st.text(), config=st.text())
codes = st.integers(-(2**31), 2**31 - 1)
statuses = st.builds(JobStatus, running=st.just(False), exit_code=codes) | st.just(JobStatus(running=True))


@given(keys)
def test_a_job_is_written_and_read_as_protobuf_does(job):
    theirs = THEIRS["Job"](runner_name=job.runner_name, job_id=job.job_id)
    assert messages.job_to_bytes(job) == theirs.SerializeToString()
    assert messages.job_from_bytes(theirs.SerializeToString()) == job


@given(launches)
def test_a_launch_is_written_and_read_as_protobuf_does(request):
    job = THEIRS["Job"](runner_name=request.job.runner_name, job_id=request.job.job_id)
    theirs = THEIRS["LaunchJobRequest"](job=job, specification=request.specification, config=request.config)
    assert messages.launch_to_bytes(request) == theirs.SerializeToString()
    assert messages.launch_from_bytes(theirs.SerializeToString()) == request


@given(statuses)
def test_a_status_is_written_and_read_as_protobuf_does(status):
    theirs = THEIRS["PAASResourceJobStatus"](running=status.running, exit_code=status.exit_code or 0)
    assert messages.status_to_bytes(status) == theirs.SerializeToString()
    assert messages.status_from_bytes(theirs.SerializeToString()) == status


@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize(
    ("message", "field"), [("ForgetJobResponse", "was_known"), ("CanTakeJobResponse", "can_take_job")]
)
def test_a_truth_is_written_and_read_as_protobuf_does(message, field, truth):
    theirs = THEIRS[message](**{field: truth})
    assert messages.truth_to_bytes(truth) == theirs.SerializeToString()
    assert messages.truth_from_bytes(theirs.SerializeToString()) is truth


@pytest.mark.parametrize("message", ["LaunchJobResponse", "CanTakeJobRequest"])
def test_an_empty_message_has_no_bytes(message):
    assert THEIRS[message]().SerializeToString() == messages.EMPTY


def test_unknown_fields_are_passed_over_and_the_last_of_several_counts():
    job = messages.job_to_bytes(next_job := messages.job_from_bytes(b"\x0a\x01r\x10\x07"))
    more = b"\x18\x05" + b"\x21" + b"8bytes!!" + b"\x2a\x02ab" + b"\x35" + b"four"  # fields 3 to 6
    assert messages.job_from_bytes(b"\x0a\x05other" + more + job) == next_job


@given(st.binary(max_size=40) | launches.map(messages.launch_to_bytes).map(lambda found: found[:-1]))
@example(b"\x0a")
@example(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
@example(b"\x12\x02\xff\xff")
@example(b"\x0b\x0c")
@example(b"\x00\x01")
def test_bytes_that_are_no_message_are_refused_in_words(content):
    for read in (messages.launch_from_bytes, messages.job_from_bytes, messages.status_from_bytes):
        try:
            read(content)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - whatever is understood is fine, too


def test_a_number_where_a_text_should_be_is_refused():
    with pytest.raises(ValueError, match="should be a text"):
        messages.job_from_bytes(b"\x08\x01")
    with pytest.raises(ValueError, match="should be a number"):
        messages.truth_from_bytes(b"\x0a\x01a")
