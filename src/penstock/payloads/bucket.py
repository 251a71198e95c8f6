"""Writes files into a bucket: the door of payloads to `obstore`, which comes with the extra `s3`."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from obstore import store as stores
from obstore.exceptions import BaseError

from penstock.payloads.courier import NotDelivered

_UPLOAD: Final = 6
"""A whole file may take so many times as long as a call elsewhere."""
_REASON: Final = 300
"""Characters of what the store says; its own texts run over pages."""
Put = Callable[[str, Path], object]
"""Writes an object from a file, whole or not at all; raises `NotDelivered`."""


def put_into(url: str, timeout_s: float) -> Put:
    """Return what writes objects below a URI such as s3://bucket/prefix; raises ValueError for one that can never work.

    Credentials, region and endpoint are the usual variables of the environment, which `obstore` reads itself.
    """
    if not urlsplit(url).hostname:
        raise ValueError("url is not of the form s3://bucket/prefix")
    try:
        store = stores.from_url(
            url,
            # Only an endpoint that the operator names is ever reached without TLS.
            client_options={"allow_http": True, "connect_timeout": f"{timeout_s}s", "timeout": f"{timeout_s * _UPLOAD}s"},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=timeout_s)},
        )
    except (BaseError, ValueError) as error:
        raise ValueError(str(error)[:_REASON]) from error

    def put(name: str, path: Path) -> None:
        try:
            store.put(name, path, use_multipart=False)
        except FileNotFoundError as error:
            if not path.exists():
                raise  # somebody has removed the file; else the bucket is not there
            raise NotDelivered(str(error)[:_REASON]) from error
        except (BaseError, OSError) as error:
            raise NotDelivered(str(error)[:_REASON]) from error

    return put
