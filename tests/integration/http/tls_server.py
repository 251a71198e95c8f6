"""`penstock`, with TLS on its HTTP listeners, by certificate.pem and key.pem where it is started."""

from typing import Any

import uvicorn

from penstock.cli.main import main


class TlsConfig(uvicorn.Config):
    """A configuration that takes everything as it is asked for, and adds the certificate."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, **options, ssl_certfile="certificate.pem", ssl_keyfile="key.pem")


if __name__ == "__main__":
    uvicorn.Config = TlsConfig  # type: ignore[misc]
    main()
