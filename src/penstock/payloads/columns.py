"""Tensors and their columns by name, as settings name them: `features`, `features.age`, or `age` alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from penstock.domain.tensor import Array, Tensor, TensorSpec


def column_names(spec: TensorSpec, width: int) -> Sequence[str]:
    """Return the names of a tensor's columns, their numbers where nobody has named them; none where names and columns do not agree."""
    if not spec.has_columns or width < 0 or (spec.columns and len(spec.columns) != width):
        return ()
    return spec.columns or list(map(str, range(width)))


def width_of(array: Array, spec: TensorSpec) -> int:
    """Return how many columns an array has, -1 for one that is not as the model has it."""
    return array.shape[-1] if array.ndim and array.ndim == len(spec.shape) else -1


def is_named(name: str, spec: TensorSpec) -> bool:
    """Tell whether settings may call a tensor, or a column of it, by that name; where columns have only numbers and may be many, by any."""
    tensor, _, column = name.rpartition(".")
    if name == spec.name or name in spec.columns:
        return True
    if tensor != spec.name or not spec.has_columns:
        return False
    width = len(spec.columns) or spec.shape[-1]
    return column in spec.columns or (column.isdecimal() and (width < 0 or int(column) < width))


def within(names: Iterable[str], spec: TensorSpec) -> set[str]:
    """Return those of the names that are meant for columns of a tensor, whether it has them or not."""
    return {name for name in names if name.startswith(f"{spec.name}.") or name in spec.columns}


def named(name: str, tensors: Sequence[Tensor], known: Mapping[str, TensorSpec]) -> Iterator[tuple[Tensor, Array]]:
    """Yield each tensor of that name whole, and each column of that name with the tensor that it belongs to."""
    for tensor in tensors:
        spec = known.get(tensor.name)
        if tensor.name == name:
            yield tensor, tensor.array
        elif spec is not None:
            for index, column in enumerate(column_names(spec, width_of(tensor.array, spec))):
                if name in (f"{tensor.name}.{column}", f"{tensor.name}.{index}") or (spec.columns and name == column):
                    yield tensor, tensor.array[..., index]
