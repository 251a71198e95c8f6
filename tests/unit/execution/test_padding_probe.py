"""The probe that decides whether requests of different lengths may share a run, and finds what is cut back."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from penstock.domain.errors import ModelFailed
from penstock.domain.padding import Padding
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Array, TensorSpec
from penstock.execution.padding_probe import UnsafePadding, probe_padding
from penstock.execution.session import OrtSession
from penstock.execution.synthetic import synthetic_inputs
from penstock.lifecycle.options import PadOptions
from penstock.lifecycle.padding import apply_padding

OpenGraph = Callable[..., OrtSession]
MakeSession = Callable[..., "OrtSession"]
FP32, INT64 = DATATYPES["FP32"], DATATYPES["INT64"]
FLOATS = ModelSchema((TensorSpec("X", FP32, (-1, -1)),), (TensorSpec("Y", FP32, (-1, -1)),), batched=True)
WORDS = ModelSchema((TensorSpec("X", INT64, (-1, -1)),), (TensorSpec("Y", FP32, (-1,)),), batched=True)


def probed(session: OrtSession, schema: ModelSchema, **options: object) -> dict[str, tuple[int, ...]]:
    """Return what the probe finds of a model whose input X is padded along axis 1."""
    declared = apply_padding(schema, {"X": PadOptions(**{"axis": 1, **options})})  # type: ignore[arg-type]
    padding = declared.padding
    assert isinstance(padding, Padding)
    return dict(probe_padding(session, declared, padding, 10.0))


def test_masked_encoder_is_safe_and_its_axes_are_found(open_graph: OpenGraph, models: ModuleType, tmp_path: object) -> None:
    """The output for each token follows, the one for each row does not."""
    models.write_encoder(tmp_path)
    from penstock.execution.devices import Device
    from penstock.execution.session import SessionSettings

    session = OrtSession(tmp_path / "encoder" / "1" / "model.onnx", SessionSettings(Device("cpu"), 1))  # type: ignore[operator]
    declared = apply_padding(session.schema, {"tokens": PadOptions(axis=1, mask="mask")})
    assert declared.padding is not None

    assert probe_padding(session, declared, declared.padding, 10.0) == {"hidden": (1,), "pooled": ()}


def test_encoder_without_its_mask_is_unsafe(models: ModuleType, tmp_path: object) -> None:
    """A mask that is padded like a token says that padding is real."""
    from penstock.execution.devices import Device
    from penstock.execution.session import SessionSettings

    models.write_encoder(tmp_path)
    session = OrtSession(tmp_path / "encoder" / "1" / "model.onnx", SessionSettings(Device("cpu"), 1))  # type: ignore[operator]
    declared = apply_padding(session.schema, {"tokens": PadOptions(axis=1), "mask": PadOptions(axis=1, value=1)})
    assert declared.padding is not None

    with pytest.raises(UnsafePadding, match="of a row of length 5 changes when the row is padded to 24"):
        probe_padding(session, declared, declared.padding, 10.0)


def test_mean_over_the_padding_is_unsafe(open_graph: OpenGraph, models: ModuleType) -> None:
    """Its declaration is refused, and the output named."""
    session = open_graph(models.PLAIN_MEAN)

    with pytest.raises(UnsafePadding, match="output 'Y' of a row of length 5 changes"):
        probed(session, session.schema)


def test_model_that_keeps_elements_apart_is_safe(open_graph: OpenGraph) -> None:
    """An output of the inputs' shape follows."""
    session = open_graph("g (float[batch,n] X) => (float[batch,n] Y) { Y = Add (X, X) }")

    assert probed(session, session.schema) == {"Y": (1,)}


@pytest.mark.parametrize("word", [0, 1])
def test_padding_with_a_word_that_the_rows_hold_too_is_seen(fake_session: MakeSession, word: int) -> None:
    """The largest of a few words: one more of a kind changes nothing, so a row must be without it."""
    table = np.array([0.5, 0.5]) + np.array([1.0, 0.0]) * (1 - 2 * word)
    session = fake_session(WORDS, lambda inputs: [table[inputs["X"]].max(axis=1).astype(np.float32)])

    with pytest.raises(UnsafePadding, match="changes when the row is padded"):
        probed(session, WORDS, value=word)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(lambda x: np.pad(x, ((0, 0), (1, 0))), r"axis 1 of output 'Y' has the sizes \[6, 17, 25\]", id="one-more"),
        pytest.param(lambda x: x[:, : x.shape[1] // 2], r"sizes \[2, 8, 12\]", id="half"),
        pytest.param(lambda x: x if x.shape[1] > 5 else x[:, 0], "has another rank", id="another-rank"),
    ],
)
def test_output_that_cannot_be_cut_back_is_unsafe(fake_session: MakeSession, answer: Callable[[Array], Array], reason: str) -> None:
    """Only an axis of exactly the inputs' length is understood."""
    session = fake_session(FLOATS, lambda inputs: [answer(inputs["X"])])

    with pytest.raises(UnsafePadding, match=reason):
        probed(session, FLOATS)


def test_axis_that_happens_to_have_the_size_of_a_length_does_not_follow(fake_session: MakeSession) -> None:
    """24 outputs for each row are 24 at every length."""
    schema = ModelSchema(FLOATS.inputs, (TensorSpec("Y", FP32, (-1, 24)),), batched=True)
    session = fake_session(schema, lambda inputs: [np.zeros((len(inputs["X"]), 24), np.float32)])

    assert probed(session, schema) == {"Y": ()}


def test_model_that_rejects_made_up_input_is_not_padded(fake_session: MakeSession) -> None:
    """Nothing is padded unproven."""

    def refuse(_: object) -> list[Array]:
        raise ModelFailed("I want real input")

    with pytest.raises(UnsafePadding, match="could not run: I want real input"):
        probed(fake_session(FLOATS, refuse), FLOATS)


def test_made_up_inputs_have_the_padded_length_and_their_masks() -> None:
    """Padded dimensions are 16 long, or what is asked for; a mask is all ones."""
    schema = ModelSchema((TensorSpec("X", INT64, (-1, -1, -1)), TensorSpec("m", FP32, (-1, 1, -1))), (), batched=True)
    declared = apply_padding(schema, {"X": PadOptions(axis=2, mask="m")})

    assert {name: array.shape for name, array in synthetic_inputs(declared, 3).items()} == {"X": (3, 1, 16), "m": (3, 1, 16)}
    assert synthetic_inputs(declared, 2, length=4)["m"].tolist() == [[[1.0] * 4]] * 2
