"""A running server as tests ask it, by its listeners."""

from typing import Any, Self

import httpx2


class ServerSite:
    """Clients of a server, which are closed with the context."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.client = httpx2.Client(base_url=f"http://{server.http}", timeout=30)
        headers = {"authorization": f"Bearer {server.token}"}
        self.admin = httpx2.Client(base_url=f"http://{server.admin}", timeout=30, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.admin.close()
