"""Which combinations of address and access no server starts with, and which it is told of."""

import logging
from collections.abc import Mapping

from penstock.domain.start import StartError
from penstock.security.options import SecurityOptions

_log = logging.getLogger(__name__)


def refuse_exposure(reachable: Mapping[str, str], options: SecurityOptions, *, allowed: bool) -> None:
    """Raise `StartError` if predictions would be open to whoever reaches them; warn where keys would travel in the clear.

    `reachable`: the hosts of the listeners, by name, that others than this machine can reach; `allowed`: the operator says that
    something in front decides.
    """
    exposed = reachable.get("http")
    if exposed is not None and not (options.keyed or options.tls.mutual or allowed):
        raise StartError(
            f"server.host is {exposed}: predictions would be open to whoever reaches it; set security.keys_file, or security.tls with "
            "client_ca for clients that have certificates, bind 127.0.0.1, or say --allow-unauthenticated if something in front decides "
            "who may come in"
        )
    clear = reachable.keys() - set(options.tls.listeners if options.tls.certificate else ())
    if clear and (options.keyed or "admin" in clear):
        _log.warning(
            "%s can be reached from other machines without TLS: keys can be read on the way; set security.tls, or have it done in front",
            " and ".join(f"{name} ({reachable[name]})" for name in sorted(clear)),
        )
