"""`penstock`, with uvicorn's own HTTP protocol in the place of the fast path: `python plain_server.py serve --registry DIR`.

What is left is the route that other servers and embedders take: the Starlette application as plain ASGI.
"""

from typing import Any

import uvicorn

from penstock.cli.main import main


class PlainConfig(uvicorn.Config):
    """A configuration that takes everything as it is asked for, but for the protocol."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **{**options, "http": "httptools"})


if __name__ == "__main__":
    uvicorn.Config = PlainConfig  # type: ignore[misc]
    main()
