"""Which outputs of a model feedback is about: where the answer stands, and how sure the model was."""

from typing import Final, Literal, NamedTuple

from penstock.domain.names import shown
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import DATATYPES, Datatype, TensorSpec
from penstock.monitoring.feedback_options import FeedbackOptions

_MATRIX: Final = 2
_BF16: Final = DATATYPES["BF16"]


class Target(NamedTuple):
    """What the truth about one version's answers is compared with."""

    schema: ModelSchema
    kind: Literal["classes", "numbers", "nothing"]
    output: str = ""
    """The output with the predicted class or number; "" where only the scores tell it."""
    scores: str = ""
    """The output with a probability for each class, or of the second of two where a row has one value."""
    classes: tuple[str, ...] = ()
    """In the order of the scores; () if each class is the place of its score."""
    note: str = ""
    """Why less can be judged than somebody may expect."""

    def datatype_of(self, output: str) -> Datatype:
        """Return the datatype of an output."""
        return self.schema.output_named[output].datatype


def target_of(schema: ModelSchema, options: FeedbackOptions) -> Target:
    """Return what is judged of a version with this schema: what the options name, else the only output that can be meant."""
    named = {name: schema.output_named.get(name) for name in (options.output, options.scores) if name}
    if missing := [name for name, spec in named.items() if spec is None]:
        return Target(schema, "nothing", note=f"the settings of feedback name {', '.join(map(shown, missing))}, which is no output")
    kind = _kind(schema, options)
    output = named.get(options.output) or _only([spec for spec in schema.outputs if _may_say(spec, kind, options)])
    scores = (named.get(options.scores) or _only(_score_specs(schema, output, options))) if kind == "classes" else None
    if output is None and scores is None:
        return Target(schema, "nothing", note="no output is the only one that can be the answer: name it in feedback.output")
    classes = tuple(options.classes) or (scores.labels if scores else ())
    return Target(schema, kind, output.name if output else "", scores.name if scores else "", classes)


def is_float(spec: TensorSpec) -> bool:
    """Tell whether the elements are numbers with a fraction."""
    return spec.datatype.dtype.kind == "f" or spec.datatype is _BF16


def _kind(schema: ModelSchema, options: FeedbackOptions) -> Literal["classes", "numbers"]:
    if options.kind != "auto":
        return options.kind
    if options.output:
        return "numbers" if is_float(schema.output_named[options.output]) else "classes"
    is_classes = options.scores or any(_says_class(spec) or _is_matrix(spec) for spec in schema.outputs)
    return "classes" if is_classes else "numbers"


def _may_say(spec: TensorSpec, kind: str, options: FeedbackOptions) -> bool:
    if spec.name == options.scores:
        return False
    return _says_class(spec) if kind == "classes" else _is_single(spec) and spec.datatype.itemsize > 0


def _score_specs(schema: ModelSchema, output: TensorSpec | None, options: FeedbackOptions) -> list[TensorSpec]:
    """Return what may be scores; without another answer the probability of truth is one too, if classes are asked for."""
    matrices = [spec for spec in schema.outputs if _is_matrix(spec) and spec is not output]
    alone = [spec for spec in schema.outputs if _is_single(spec) and is_float(spec)]
    return matrices or (alone if output is None and options.kind == "classes" else [])


def _says_class(spec: TensorSpec) -> bool:
    return _is_single(spec) and not is_float(spec)


def _is_single(spec: TensorSpec) -> bool:
    """Tell whether each row has one value."""
    return all(dim == 1 for dim in spec.shape[1:])


def _is_matrix(spec: TensorSpec) -> bool:
    return is_float(spec) and len(spec.shape) == _MATRIX and spec.shape[1] != 1


def _only(specs: list[TensorSpec]) -> TensorSpec | None:
    return specs[0] if len(specs) == 1 else None
