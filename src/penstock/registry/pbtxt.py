"""Reads config.pbtxt, the text form of Triton's `ModelConfig`."""

from google.protobuf import text_format

from penstock.wire import inference

_UNKNOWN = "has no field named"


def read_config(text: str) -> inference.ModelConfig:
    """Return what a config.pbtxt states; fields that `ModelConfig` does not have are skipped.

    Raises ValueError with the line and the reason if the text cannot be parsed.
    """
    return _parse(text, skip_unknown=True)


def unknown_field(text: str) -> str:
    """Return a sentence about the first field that `read_config` skips in a readable text, "" if it skips none.

    Triton refuses such a file, so it is a misspelt field or one newer than our copy of the message.
    """
    try:
        _parse(text, skip_unknown=False)
    except ValueError as error:
        return f"{error} It is ignored." if _UNKNOWN in str(error) else ""
    return ""


def _parse(text: str, *, skip_unknown: bool) -> inference.ModelConfig:
    try:
        return text_format.Parse(text, inference.ModelConfig(), allow_unknown_field=skip_unknown, descriptor_pool=inference.POOL)
    except text_format.ParseError as error:
        # protobuf begins its text with "line:column : ".
        raise ValueError(f"config.pbtxt, line {error.GetLine()}: {str(error).partition(' : ')[2]}") from error
    except RecursionError as error:
        raise ValueError("config.pbtxt is nested too deeply") from error
