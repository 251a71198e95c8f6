"""What the OpenAPI document says of feedback: one path, the bodies that it takes and gives, and the refusal that only it knows."""

from typing import Final

from penstock.http.openapi_schemas import Part, ref

_REFUSALS: Final = {
    "400": "INVALID_ARGUMENT",
    "401": "UNAUTHENTICATED",
    "403": "PERMISSION_DENIED",
    "404": "NOT_FOUND",
    "405": "METHOD_NOT_ALLOWED",
    "409": "CONFLICT",
    "413": "TOO_LARGE",
    "415": "UNSUPPORTED_ENCODING",
    "429": "OVERLOADED",
    "500": "INTERNAL",
    "503": "UNAVAILABLE",
}
_ID: Final = "5f1c0a72"
_WORD: Final[Part] = {"id": _ID, "outputs": {"label": [0]}}
_TOLD: Final[Part] = {"id": _ID, "outcome": "joined", "version": "2", "arm": "stable"}
_OUTCOMES: Final = ("joined", "late", "duplicate", "unknown")
_VALUES: Final[Part] = {"type": ["array", "boolean", "number", "string"], "items": {}}
_COUNT: Final[Part] = {"type": "integer", "minimum": 0}

FEEDBACK_TAG: Final = {"name": "Feedback", "description": "Tell the truth about an earlier prediction, or how good it was."}

FEEDBACK_SCHEMAS: Final[dict[str, Part]] = {
    "FeedbackWord": {
        "type": "object",
        "description": "What is known of one earlier prediction: exactly one of `outputs` and `reward`.",
        "properties": {
            "id": {"type": "string", "description": "The `x-request-id` of the answer."},
            "outputs": {
                "description": "The outputs as they should have been: tensors, or values by name. A whole number for scores is the class.",
                "oneOf": [
                    {"type": "array", "items": ref("schemas", "InferInput"), "minItems": 1},
                    {"type": "object", "additionalProperties": _VALUES, "minProperties": 1},
                ],
            },
            "reward": {"type": "number", "description": "How good the prediction was, in a unit of your own."},
        },
        "required": ["id"],
        "oneOf": [{"required": ["outputs"]}, {"required": ["reward"]}],
        "additionalProperties": False,
    },
    "FeedbackWords": {"oneOf": [ref("schemas", "FeedbackWord"), {"type": "array", "items": ref("schemas", "FeedbackWord"), "minItems": 1}]},
    "FeedbackTold": {
        "type": "object",
        "description": "What became of one word; who answered, if that is remembered.",
        "properties": {
            "id": {"type": "string"},
            "outcome": {"type": "string", "enum": list(_OUTCOMES)},
            "version": {"type": "string"},
            "arm": {"type": "string"},
        },
        "required": ["id", "outcome"],
    },
    "FeedbackCounts": {
        "type": "object",
        "description": "What became of many.",
        "properties": {
            **dict.fromkeys((*_OUTCOMES, "refused"), _COUNT),
            "errors": {
                "type": "array",
                "description": "The first hundred words that were refused.",
                "items": {"type": "object", "properties": {"index": _COUNT, "error": {"type": "string"}, "code": {"type": "string"}}},
            },
        },
        "required": [*_OUTCOMES, "refused", "errors"],
    },
    "FeedbackAnswer": {"oneOf": [ref("schemas", "FeedbackTold"), ref("schemas", "FeedbackCounts")]},
}


def _answer(description: str, example: Part) -> Part:
    content = {"application/json": {"schema": ref("schemas", "FeedbackAnswer"), "example": example}}
    return {"description": description, "headers": {}, "content": content}


FEEDBACK_PATHS: Final[dict[str, Part]] = {
    "/v2/models/{model}/feedback": {
        "post": {
            "operationId": "feedback",
            "tags": ["Feedback"],
            "summary": "Tell the truth",
            "description": "One word, a list of them, or one in each line (`application/x-ndjson`), at most 10000. Words of a list stand "
            "each by itself: the answer counts them, and names those that were refused. Only for models whose settings say "
            "`feedback.enabled`.",
            "parameters": [ref("parameters", "model")],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": ref("schemas", "FeedbackWords"), "example": _WORD},
                    "application/x-ndjson": {"schema": {"type": "string", "description": "One word in each line."}},
                },
            },
            "responses": {
                "200": _answer("Every word that was taken found its prediction, or had been said before.", _TOLD),
                "202": _answer(
                    "Recorded; some came too late to count, or for predictions that are not remembered.", {"id": _ID, "outcome": "unknown"}
                ),
                **{status: ref("responses", code) for status, code in _REFUSALS.items()},
            },
        }
    }
}

FEEDBACK_RESPONSES: Final[dict[str, Part]] = {
    "CONFLICT": {
        "description": "Feedback on this model is off.",
        "headers": {},
        "content": {
            "application/json": {
                "schema": ref("schemas", "Error"),
                "example": {"error": "feedback on 'iris' is off; set models.iris.feedback.enabled = true", "code": "CONFLICT"},
            }
        },
    }
}
