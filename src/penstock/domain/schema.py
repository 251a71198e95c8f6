"""What a model takes and gives, and the check of a request against it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.domain.errors import InvalidInput
from penstock.domain.names import shown
from penstock.domain.padding import Padding
from penstock.domain.request import InferenceRequest
from penstock.domain.tensor import RAW_ONLY, Datatype, Tensor, TensorSpec

MAX_RANK: Final = 32
_MOST_FORMS: Final = 1024


@dataclass
class ModelSchema:
    """The inputs and outputs of a model version. Never changed; `dataclasses.replace` makes another one."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batched: bool
    """Whether the first dimension of every tensor is the batch, so that rows of several requests may share a run."""
    max_batch_rows: int | None = None
    """The most rows of one request, where the model's author declared it; a longer request is refused."""
    notes: tuple[str, ...] = field(default=())
    """What an operator should know, such as why rows are not batched."""
    padding: Padding | None = None
    """How inputs of different lengths meet in a run; None if only those of equal shapes do."""
    input_named: dict[str, TensorSpec] = field(init=False, repr=False, compare=False)
    """The inputs by name."""
    output_named: dict[str, TensorSpec] = field(init=False, repr=False, compare=False)
    """The outputs by name."""
    required: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of the inputs that every request must hold."""
    output_names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of all outputs, in the model's order."""
    raw_only: bool = field(init=False, repr=False, compare=False)
    """Whether an output is of a datatype that JSON does not carry."""
    uniform: bool = field(init=False, repr=False, compare=False)
    """Whether all accepted requests agree in everything but their number of rows."""
    _accepted: set[tuple[object, ...]] = field(init=False, repr=False, compare=False)
    """Forms of requests that were checked before: callers repeat themselves."""

    def __post_init__(self) -> None:
        """Derive what requests ask for. Compiled, a `cached_property` would be computed anew by each of them."""
        self.input_named = {spec.name: spec for spec in self.inputs}
        self.output_named = {spec.name: spec for spec in self.outputs}
        self.required = tuple([spec.name for spec in self.inputs if not spec.optional])
        self.output_names = tuple([spec.name for spec in self.outputs])
        self.raw_only = any(spec.datatype.wire in RAW_ONLY for spec in self.outputs)
        self.uniform = not any(spec.optional or -1 in spec.shape[1:] for spec in self.inputs)
        self._accepted = set()

    def check(self, request: InferenceRequest) -> None:
        """Raise `InvalidInput`, naming the tensor, the value seen and what is expected, unless the model can take the request."""
        inputs = request.inputs
        form = _form(inputs, request.outputs)
        if form not in self._accepted:
            self._judge(inputs, request.outputs)
            if len(self._accepted) < _MOST_FORMS:
                self._accepted.add(form)

    def _judge(self, inputs: Sequence[Tensor], outputs: tuple[str, ...]) -> None:
        for tensor in inputs:
            self.check_input(tensor.name, tensor.datatype, tensor.array.shape)
        if len(inputs) != 1 or len(self.inputs) != 1:
            self._check_names(inputs)
        if self.batched:
            self._check_rows(inputs)
        if outputs:
            self._check_outputs(outputs)

    def check_input(self, name: str, datatype: Datatype, shape: tuple[int, ...]) -> None:
        """Raise `InvalidInput` unless an input of the model is like that; the first part of `check`, for an input not yet read."""
        spec = self.input_named.get(name)
        if spec is None:
            raise InvalidInput(f"the model has no input {shown(name)}; it expects {_listing(self.inputs)}")
        if datatype is not spec.datatype or not spec.fits(shape):
            raise _mismatch(datatype, shape, spec)

    def rows(self, request: InferenceRequest) -> int:
        """Return how many rows a checked request holds; 1 for a model without a batch dimension."""
        rows: int = request.inputs[0].array.shape[0] if self.batched else 1
        return rows

    def _check_names(self, inputs: Sequence[Tensor]) -> None:
        given: set[str] = set()
        for tensor in inputs:
            if tensor.name in given:
                raise InvalidInput(f"the input {shown(tensor.name)} already exists in the request; give it once")
            given.add(tensor.name)
        missing = [name for name in self.required if name not in given]
        if missing:
            raise InvalidInput(f"missing required input(s) {', '.join(map(shown, missing))}; the model expects {_listing(self.inputs)}")

    def _check_rows(self, inputs: Sequence[Tensor]) -> None:
        if not inputs:
            raise InvalidInput(f"the request holds no input, so it has no rows; the model expects {_listing(self.inputs)}")
        first = inputs[0]
        rows = first.array.shape[0]
        for tensor in inputs:
            if tensor.array.shape[0] != rows:
                raise InvalidInput(
                    f"the batch size of input {shown(tensor.name)} is {tensor.array.shape[0]}, "
                    f"that of input {shown(first.name)} is {rows}; all inputs need the same"
                )
        if self.max_batch_rows is not None and rows > self.max_batch_rows:
            raise InvalidInput(
                f"the batch size is {rows}, but this model takes at most {self.max_batch_rows} rows in one request; split it"
            )

    def _check_outputs(self, names: Sequence[str]) -> None:
        for position, name in enumerate(names):
            if name not in self.output_named:
                raise InvalidInput(f"unexpected inference output {shown(name)}; the model gives {_listing(self.outputs)}")
            if name in names[:position]:
                raise InvalidInput(f"the output {shown(name)} already exists in the request; ask for it once")


def _form(inputs: Sequence[Tensor], outputs: tuple[str, ...]) -> tuple[object, ...]:
    """Return what of a request decides whether it is accepted. Most have one tensor, for which a comprehension costs a call."""
    if len(inputs) == 1:
        tensor = inputs[0]
        return tensor.name, tensor.datatype.wire, tensor.array.shape, outputs
    return *[(tensor.name, tensor.datatype.wire, tensor.array.shape) for tensor in inputs], outputs


def _mismatch(datatype: Datatype, shape: tuple[int, ...], spec: TensorSpec) -> InvalidInput:
    name = shown(spec.name)
    if datatype is not spec.datatype:
        return InvalidInput(f"the input {name} has datatype {datatype.wire}, but the model expects {spec.datatype.wire}")
    return InvalidInput(f"unexpected shape for input {name}: received {list(shape)}, the model expects {list(spec.shape)}")


def _listing(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.datatype.wire}{list(spec.shape)}" for spec in specs) or "none"
