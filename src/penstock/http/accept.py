"""What form of an answer a client likes best."""

from typing import Final

_FORMS: Final = ("application/json", "application/*", "*/*")


def prefers_html(accept: str) -> bool:
    """Tell whether an Accept header puts HTML before JSON, as browsers do; programs, which mostly take anything, get JSON.

    RFC 9110, section 12.5.1; HTML has to be named.
    """
    qualities = dict(map(_quality, accept.lower().split(",")))
    json = next((qualities[form] for form in _FORMS if form in qualities), 0.0)
    return qualities.get("text/html", 0.0) > json


def _quality(item: str) -> tuple[str, float]:
    form, *parameters = (part.strip() for part in item.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return form, float(quality)
    except ValueError:
        return form, 0.0
