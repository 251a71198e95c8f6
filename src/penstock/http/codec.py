"""The Open Inference Protocol over HTTP: body to request, answer to body (JSON, and its binary tensor extension)."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final

import orjson

from penstock.domain.errors import InvalidInput
from penstock.domain.names import check_request_id, shown
from penstock.domain.request import InferenceRequest, InferenceResponse
from penstock.domain.schema import ModelSchema
from penstock.domain.tensor import RAW_ONLY, Tensor
from penstock.http.binary_form import BinaryForm, BinaryForms, raw_parts
from penstock.http.json_data import array_of_json
from penstock.http.json_text import checked, json_of, read
from penstock.http.json_weight import is_long
from penstock.http.long_list import LongList, json_of_body, read_long, tensor_places
from penstock.http.output_forms import OutputForms
from penstock.http.plain_form import framed_input, plain_inputs
from penstock.http.raw_body import raw_input
from penstock.wire.classification import check_classification, classify
from penstock.wire.parameters import apply_parameters, classes_asked, refuse_shared_memory
from penstock.wire.raw import MAX_TENSORS, Buffer, aligned, array_of, check_shape, datatype_named, raw_of

HEADER_LENGTH: Final = "inference-header-content-length"
_MOST_DIGITS: Final = 10
OCTETS: Final = "application/octet-stream"


class Encoded:
    """An answer's body."""

    __slots__ = ("coding", "json_bytes", "parts")

    def __init__(self, parts: list[Buffer], json_bytes: int | None = None, coding: str = "") -> None:
        self.parts = parts
        self.json_bytes = json_bytes
        """Length of the JSON in front of raw tensors; None if the body is JSON alone."""
        self.coding = coding
        """How the parts are compressed."""


_forms: Final = BinaryForms()
Encode = Callable[[InferenceResponse], Encoded]
"""Writes an answer in the form that its request asked for."""


def decode(body: Buffer, header_length: str | None, request: InferenceRequest, schema: ModelSchema, limit: int) -> Encode:
    """Fill the request from the body and return how its answer is written.

    `header_length` is the value of Inference-Header-Content-Length, None if it is absent; `limit` that of a body, in bytes.
    Raises `InvalidInput`, and `TooLarge` for JSON that would take far more.
    """
    json_bytes = len(body) if header_length is None else _json_bytes(header_length, len(body))
    long = is_long(json_bytes, limit)
    if header_length is None and not long and not schema.raw_only and (framed := framed_input(bytes(body))) is not None:
        request.inputs = [framed]
        return encode_json
    if json_bytes == 0 and header_length is not None:
        request.inputs = [raw_input(body, schema)]
        return partial(encode, forms=OutputForms(all_binary=True), schema=schema)
    if long:
        front = json_of_body(body, json_bytes)
        return _decode_closely(front, read_long(front, limit, tensor_places), memoryview(body)[json_bytes:], request, schema)
    text = bytes(body if json_bytes == len(body) else body[:json_bytes])
    form = _forms.find(text, schema) if json_bytes < len(body) else None
    if form is not None and form.read(body, json_bytes, request):
        return partial(encode_raw, form=form)
    document = read(text)
    inputs = plain_inputs(document, text) if json_bytes == len(body) and not schema.raw_only else None
    if inputs is None:
        return _decode_closely(text, checked(document, text), memoryview(body)[json_bytes:], request, schema)
    request.inputs = inputs
    if "id" in document:
        request.client_id = _client_id(document)
    return encode_json


def _decode_closely(text: Buffer, document: Mapping[str, Any], raw: memoryview, request: InferenceRequest, schema: ModelSchema) -> Encode:
    """Read a document field by field; tensors may be raw bytes behind it."""
    if "id" in document:
        request.client_id = _client_id(document)
    all_binary = "parameters" in document and _apply_parameters(document, request)
    request.inputs = _inputs(document, raw, schema)
    if "outputs" not in document and not all_binary and not schema.raw_only:
        return encode_json
    forms = _outputs(document, request, all_binary=all_binary)
    _check_forms(request.outputs or schema.output_names, forms, schema)
    if raw and _is_repeatable(document) and forms.are_raw(request.outputs or schema.output_names):
        form = _forms.remember(bytes(text), schema, request)
        return partial(encode, forms=forms, schema=schema, form=form)
    return partial(encode, forms=forms, schema=schema)


def _is_repeatable(document: Mapping[str, Any]) -> bool:
    """Tell whether a document says nothing that another request would not: no id, no deadline, no values."""
    if "id" in document or any("data" in entry for entry in document["inputs"]):
        return False
    return (document.get("parameters") or {}).keys() <= {"binary_data_output"}


def encode(response: InferenceResponse, forms: OutputForms, schema: ModelSchema, form: BinaryForm | None = None) -> Encoded:
    """Return the body of an answer in the forms that were asked for; `form` keeps what the next answer will begin with too."""
    raw: list[Buffer] = []
    text = _document(response, [_output(tensor, forms, schema, raw) for tensor in response.outputs])
    if form is not None and all(raw):
        form.remember(response, text)
    # With nothing behind it the JSON is the whole body, also when binary outputs are empty.
    return Encoded([text, *raw], len(text)) if any(raw) else Encoded([text])


def encode_raw(response: InferenceResponse, form: BinaryForm) -> Encoded:
    """Return the body of an answer whose outputs are all raw, to a request in a form that is remembered."""
    text = form.text_for(response)
    if text is None:
        return encode(response, OutputForms(all_binary=True), form.schema, form)
    return Encoded(raw_parts(text, response.outputs), len(text))


def encode_json(response: InferenceResponse) -> Encoded:
    """Return the body of an answer that is JSON alone: the form that most callers take."""
    if len(response.outputs) == 1 and not response.client_id:  # as most answers: what they begin with is remembered as one
        tensor, version = response.outputs[0], response.version
        front = _front(version.name, version.version, tensor.name, tensor.datatype.wire, tensor.array.shape)
        return Encoded([b"%b%b}]}" % (front, json_of(tensor.array))])
    return Encoded([_document(response, [_json_output(tensor) for tensor in response.outputs])])


def _document(response: InferenceResponse, outputs: list[bytes]) -> bytes:
    version = response.version
    opening = _opening(version.name, version.version)
    if response.client_id:
        opening = b'{"id":%b,%b' % (orjson.dumps(response.client_id), opening[1:])
    return b"%b%b]}" % (opening, b",".join(outputs))


def _json_output(tensor: Tensor) -> bytes:
    array = tensor.array
    return b'%b,"data":%b}' % (_output_head(tensor.name, tensor.datatype.wire, array.shape), json_of(array))


@lru_cache(1024)
def _front(model: str, version: str, output: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    return b'%b%b,"data":' % (_opening(model, version), _output_head(output, datatype, shape))


@lru_cache(100)  # versions come and go
def _opening(model: str, version: str) -> bytes:
    """Return an answer's JSON up to its outputs: what all answers of a version begin with."""
    return orjson.dumps({"model_name": model, "model_version": version})[:-1] + b',"outputs":['


@lru_cache(1024)
def _output_head(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """Return an output's JSON up to its data."""
    return orjson.dumps({"name": name, "datatype": datatype, "shape": shape})[:-1]


def _apply_parameters(document: Mapping[str, Any], request: InferenceRequest) -> bool:
    """Heed the parameters of a request; returns whether its outputs are to be binary."""
    parameters = _table(document, "parameters", "the request")
    apply_parameters(parameters, request)
    return parameters.get("binary_data_output") is True


def is_length(text: str) -> bool:
    """Tell whether the value of Inference-Header-Content-Length is a length."""
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _json_bytes(header_length: str, body_bytes: int) -> int:
    if not is_length(header_length):
        raise InvalidInput(f"Inference-Header-Content-Length is {shown(header_length)}; it should be a number in range 0 to {body_bytes}")
    length = int(header_length)
    if length > body_bytes:
        raise InvalidInput(f"Inference-Header-Content-Length is {length}; it should be in range 0 to {body_bytes}, the body's length")
    return length


def _client_id(document: Mapping[str, Any]) -> str:
    identifier = document["id"]
    if not isinstance(identifier, str):
        raise InvalidInput(f"the request's id must be a string, not {shown(repr(identifier))}")
    return check_request_id(identifier, "the request's id")


def _inputs(document: Mapping[str, Any], raw: memoryview, schema: ModelSchema) -> list[Tensor]:
    tensors, offset = [], 0
    for entry in _entries(document, "inputs", required=True):
        name = _name(entry, "input")
        datatype = datatype_named(entry.get("datatype"), name)
        shape = check_shape(entry.get("shape"), name)
        size = None if "data" in entry and "parameters" not in entry else _binary_size(entry, name)
        if size is None:
            if type(entry["data"]) is LongList:
                schema.check_input(name, datatype, shape)  # before room is made for what would be refused then
            tensors.append(Tensor(name, datatype, array_of_json(name, datatype, shape, entry["data"])))
            continue
        if offset + size > len(raw):
            raise InvalidInput(f"input {shown(name)} is expecting {offset + size - len(raw)} additional bytes after the JSON")
        tensors.append(Tensor(name, datatype, aligned(array_of(name, datatype, shape, raw[offset : offset + size]))))
        offset += size
    if offset != len(raw):
        raise InvalidInput(f"unexpected additional input data: {len(raw) - offset} bytes after the last input")
    return tensors


def _binary_size(entry: Mapping[str, Any], name: str) -> int | None:
    """Return the bytes of an input that follows the JSON, None for one whose values are in `data`."""
    parameters = _table(entry, "parameters", f"input {shown(name)}")
    refuse_shared_memory(parameters, name)
    size = parameters.get("binary_data_size")
    if ("data" in entry) == ("binary_data_size" in parameters):
        raise InvalidInput(f"input {shown(name)} must set only one of 'data' and the parameter 'binary_data_size', and one of them")
    if "data" in entry:
        return None
    if type(size) is not int or size < 0:
        raise InvalidInput(f"binary_data_size of input {shown(name)} is {shown(repr(size))}; use its length in bytes")
    return size


def _outputs(document: Mapping[str, Any], request: InferenceRequest, *, all_binary: bool) -> OutputForms:
    entries = _entries(document, "outputs", required=False)
    # As Triton does: the request's own default counts only for outputs that nobody lists.
    forms = OutputForms(all_binary=all_binary and not entries)
    for entry in entries:
        name = _name(entry, "output")
        parameters = _table(entry, "parameters", f"output {shown(name)}")
        refuse_shared_memory(parameters, name)
        forms.binary[name] = _flag(parameters, "binary_data", name)
        forms.classes[name] = classes_asked(parameters, name)
    request.outputs = tuple(_name(entry, "output") for entry in entries)
    return forms


def _check_forms(names: tuple[str, ...], forms: OutputForms, schema: ModelSchema) -> None:
    """Refuse, before anything runs, a form that an output cannot take; unknown outputs are the schema's to refuse."""
    for spec in (schema.output_named[name] for name in names if name in schema.output_named):
        if forms.classes.get(spec.name):
            check_classification(spec, forms.classes[spec.name])
        elif spec.datatype.wire in RAW_ONLY and not forms.is_binary(spec.name):
            raise InvalidInput(
                f"the output {shown(spec.name)} is {spec.datatype.wire}, which JSON does not carry; ask for it with binary_data true"
            )


def _output(tensor: Tensor, forms: OutputForms, schema: ModelSchema, raw: list[Buffer]) -> bytes:
    if k := forms.classes.get(tensor.name, 0):
        labels = schema.output_named[tensor.name].labels
        tensor = classify(tensor, k, labels, batched=schema.batched)
    if not forms.is_binary(tensor.name):
        return _json_output(tensor)
    data = raw_of(tensor)
    raw.append(data)
    head = _output_head(tensor.name, tensor.datatype.wire, tensor.array.shape)
    return b'%b,"parameters":{"binary_data_size":%d}}' % (head, len(data))


def _entries(document: Mapping[str, Any], key: str, *, required: bool) -> list[Mapping[str, Any]]:
    entries = document.get(key)
    if entries is None and not required:
        return []
    if not isinstance(entries, list) or (required and not entries):
        raise InvalidInput(f"the request needs a list {key!r} with at least one tensor" if required else f"{key!r} must be a list")
    if len(entries) > MAX_TENSORS:
        raise InvalidInput(f"{key!r} has {len(entries)} entries; at most {MAX_TENSORS} are allowed")
    for entry in entries:
        if type(entry) is not dict:
            raise InvalidInput(f"each entry of {key!r} must be an object")
    return entries


def _name(entry: Mapping[str, Any], what: str) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"each {what} needs a name; got {shown(repr(name))}")
    return name


def _table(entry: Mapping[str, Any], key: str, what: str) -> dict[str, Any]:
    table = entry.get(key)
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise InvalidInput(f"{key!r} of {what} must be an object, not {shown(repr(table))}")
    return table


def _flag(parameters: Mapping[str, Any], key: str, name: str) -> bool:
    value = parameters.get(key, False)
    if type(value) is not bool:
        raise InvalidInput(f"{key!r} of output {shown(name)} must be true or false, not {shown(repr(value))}")
    return value
