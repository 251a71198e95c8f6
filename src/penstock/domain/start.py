"""Why a server does not start."""


class StartError(Exception):
    """The server cannot start: a port, a directory, the registry, a missing extra; the message says which and what to do."""


def missing_extra(setting: str, extra: str) -> StartError:
    """Return the error of a setting that needs packages which are not installed."""
    return StartError(f"{setting} needs the extra `{extra}`: pip install 'penstock[{extra}]'")
