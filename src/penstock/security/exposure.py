"""Which combinations of address and access no server starts with."""

from penstock.domain.start import StartError


def refuse_exposure(host: str, *, loopback: bool, guarded: bool, allowed: bool) -> None:
    """Raise `StartError` if predictions would be open to whoever reaches the host.

    `guarded`: every call needs a key, or every client a certificate; `allowed`: the operator says that something in front decides.
    """
    if not (loopback or guarded or allowed):
        raise StartError(
            f"server.host is {host}: predictions would be open to whoever reaches it; set security.keys_file, bind 127.0.0.1, or say "
            "--allow-unauthenticated if something in front decides who may come in"
        )
