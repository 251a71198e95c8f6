"""Whose prediction it is, and that nothing of it is recorded where that cannot be told or not be hashed."""

from dataclasses import replace

import numpy as np
import pytest
from predictions import ended, spec, tensor

from penstock.payloads.intake import Intake
from penstock.payloads.options import RecordingOptions, SubjectOptions
from penstock.payloads.recording import Recording, Surroundings
from penstock.payloads.subject import SubjectKey, subject_hashes
from penstock.payloads.undecided import Undecided

KEY = b"k"
KNOWN = {"user": spec("user", shape=(-1, 1), wire="BYTES"), "F": spec("F", "age", "user_id")}


def subjects(inputs=(), headers=None, **where):
    """Return the subjects of a request."""
    request = ended("r", list(inputs)).request
    request.headers = headers
    return SubjectKey(SubjectOptions(**where), KEY).of(request, KNOWN).split()


def hashes(*names):
    """Return the hashes by which the command looks for these names."""
    return [subject_hashes(name, [KEY]).pop() for name in names]


def test_a_header_tells_byte_by_byte():
    """What the command reads as UTF-8 is what a caller has sent as UTF-8, which HTTP reads as Latin-1."""
    assert subjects(headers={"x-user": "ann"}, header="X-User") == hashes("ann")
    assert subjects(headers={"x-user": "jörg".encode().decode("latin-1")}, header="x-user") == hashes("jörg")
    assert subjects(headers={"x-other": "ann"}, header="x-user") == []
    assert subjects(headers=None, header="x-user") == []


def test_each_row_may_have_its_own_subject():
    """Named once, in the order of the rows."""
    users = tensor("user", [["ann"], ["bob"], ["ann"]], "BYTES")
    assert subjects([users], input="user") == hashes("ann", "bob")


@pytest.mark.parametrize("where", ["F.user_id", "user_id", "F.1"])
def test_a_column_tells_in_the_digits_that_people_write(where):
    """Also where the model takes it as a fraction."""
    assert subjects([tensor("F", [[37.0, 4711.0], [41.5, 4712.5]])], input=where) == hashes("4711", "4712.5")
    assert subjects([tensor("F", [[37, 2**62 + 1]], "INT64")], input=where) == hashes(str(2**62 + 1))


def test_a_request_that_does_not_name_the_input_has_no_subject():
    """Nor one of another shape than the model's."""
    assert subjects([tensor("F", [[1.0, 2.0]])], input="user") == []
    assert subjects([tensor("F", [[1.0, 2.0, 3.0]])], input="user_id") == []


def recorded(inputs, *, failed=False, **options):
    """Return what a recording of everything has offered of a request, and what it has dropped."""
    intake = Intake(1 << 30)
    options = RecordingOptions(sample=1.0, **options)
    recording = Recording(options, KEY, intake, lambda: None, surroundings=Surroundings(), undecided=Undecided(1 << 20))
    recording(ended("r", inputs, failed=failed), "OK")
    assert intake.accepted == len(intake) + sum(intake.dropped.values()) == 1
    return intake.take(1), intake.dropped


def test_without_a_subject_in_the_inputs_none_of_the_tensors_is_recorded():
    """For nobody could find them to delete them; that there was a prediction is."""
    ((offer,), _) = recorded([tensor("X", [[1.0, 2.0]])], subject=SubjectOptions(input="user"))
    assert (offer.inputs, offer.outputs, offer.subject) == ([], [], "")
    assert offer.request.inputs == []  # or the whole body would wait for the writer, and count as nothing
    ((offer,), _) = recorded([tensor("X", [[1.0, 2.0]])], failed=True, subject=SubjectOptions(input="user"))
    assert offer.error == ""
    ((offer,), _) = recorded([tensor("X", [[1.0, 2.0]])], subject=SubjectOptions(header="x-user"))
    assert len(offer.inputs) == len(offer.outputs) == 1


def test_more_subjects_than_the_event_loop_has_time_for_are_not_recorded():
    """And counted as dropped."""
    many = tensor("X", np.arange(5000.0))
    assert recorded([many], subject=SubjectOptions(input="X")) == ([], {"redaction": 1})


def test_the_subject_is_found_in_what_redaction_drops():
    """It is looked for before."""
    ((offer,), _) = recorded([tensor("X", [[7.0]])], subject=SubjectOptions(input="X"), redact={"*": "drop"})
    assert (offer.inputs, offer.subject) == ([], hashes("7")[0])


def test_what_is_kept_of_a_body_keeps_none_of_the_rest_in_memory():
    """Tensors are views of a body in which those lie that are dropped."""
    view = replace(tensor("X", []), array=np.frombuffer(bytes(400_000), "<f4", 2).reshape(1, 2))
    ((offer,), _) = recorded([view], redact={"Y": "drop"})
    assert offer.inputs[0].array.base is None
    assert offer.size_bytes < 10_000


def test_what_cannot_be_redacted_is_told_without_its_values(caplog, monkeypatch):
    """Not even the message of what went wrong is, which may quote them."""

    def fail(*_):
        raise ValueError("CANARY")

    monkeypatch.setattr("penstock.payloads.redaction.hashed", fail)
    assert recorded([tensor("X", [[7.0]])], redact={"X": "hash"}) == ([], {"redaction": 1})
    assert "cannot be redacted (ValueError)" in caplog.text
    assert "CANARY" not in caplog.text
