"""Calls to an MLflow server: bounded in time and size, tried again where that may help, failures told as ours."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Final, TypeVar

import httpx2
import msgspec

from penstock.registry.mlflow_access import CREDENTIALS, MlflowAccess, elsewhere
from penstock.registry.source import RegistryUnreachable

_TIMEOUT_S: Final = 20.0  # of silence
_CONNECT_S: Final = 5.0
_WHOLE_S: Final = 60.0  # of an answer that is read whole
_LIMIT_BYTES: Final = 64 * 1024 * 1024
_WORDS_BYTES: Final = 64 * 1024
_WORDS: Final = 300  # characters of what the server says
_WAITS_S: Final = (0.2, 1.0)
_LONGEST_WAIT_S: Final = 10.0  # whatever the server asks for
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_PARTIAL: Final = 206

_T = TypeVar("_T")
Parameters = Mapping[str, str | int | list[str]]


class MlflowRefusal(RegistryUnreachable):
    """The server has understood the call and refuses it; or has not, and never will."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        """MLflow's name of the error, "" if it gives none."""


class _Passing(RegistryUnreachable):
    """What may be different in a moment."""

    wait_s: float | None = None
    """What the server asks for."""


class _Words(msgspec.Struct):
    """The body of an error."""

    error_code: str = ""
    message: str = ""


class MlflowClient:
    """One server. Every method blocks, may be called on any thread, and raises `RegistryUnreachable`."""

    def __init__(self, access: MlflowAccess, *, pause: Callable[[float], object] = sleep, keep_alive: bool = True) -> None:
        """Connect to nothing yet. `pause` waits; without `keep_alive` there is nothing to close in the end."""
        self.address: Final = access.address
        self._access = access
        self._pause = pause
        self._http = httpx2.Client(
            headers={**access.headers, "accept-encoding": "identity", "user-agent": "penstock"},
            verify=access.trust,
            timeout=httpx2.Timeout(_TIMEOUT_S, connect=_CONNECT_S),
            limits=httpx2.Limits(max_keepalive_connections=None if keep_alive else 0),
        )

    def elsewhere(self, host: str) -> "MlflowClient":
        """Return a client of another host, to which our credentials are not shown."""
        return MlflowClient(elsewhere(self._access, host), pause=self._pause, keep_alive=False)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._http.close()

    def ask(self, path: str, kind: type[_T], parameters: Parameters | None = None) -> _T:
        """Return the JSON answer to a GET; raises `MlflowRefusal` too."""
        text = self._again(lambda: self._whole("GET", path, params=parameters))
        try:
            return msgspec.json.decode(text, type=kind, strict=False)  # 64-bit integers may come as strings
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise RegistryUnreachable(f"{self._name} gives an answer to {path} that is not MLflow's: {_cut(str(error))}") from error

    def tell(self, method: str, path: str, document: Mapping[str, str]) -> None:
        """Make a change that may be made twice; raises `MlflowRefusal` too."""
        self._again(lambda: self._whole(method, path, json=document))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file of any size, and go on where a connection broke off; raises `MlflowRefusal` too."""
        done, tag = 0, None
        for wait_s in (*_WAITS_S, None):
            try:
                with self._answer("GET", path, headers={"range": f"bytes={done}-"} if done else {}) as answer:
                    tag = self._same(answer, tag)
                    for piece in self._rest(answer, done):
                        done += len(piece)
                        yield piece
            except _Passing as passing:
                self._wait(passing, wait_s)
            else:
                return

    def _same(self, answer: httpx2.Response, tag: str | None) -> str:
        """Return the file's tag; half of one file and half of another are none."""
        now = str(answer.headers.get("etag", ""))
        if tag not in (None, now):
            raise RegistryUnreachable(f"{self._name} has changed a file while it was read; it is read again at the next look")
        return now

    def _rest(self, answer: httpx2.Response, done: int) -> Iterator[bytes]:
        """Yield what comes after the bytes that are here, whether or not the server can skip those."""
        skip = 0 if answer.status_code == _PARTIAL else done
        if answer.status_code == _PARTIAL and not str(answer.headers.get("content-range", "")).startswith(f"bytes {done}-"):
            raise RegistryUnreachable(f"{self._name} gives another part of a file than the one asked for")
        for piece in answer.iter_bytes():
            if rest := piece[skip:]:
                yield rest
            skip = max(0, skip - len(piece))

    def _again(self, call: Callable[[], bytes]) -> bytes:
        for wait_s in _WAITS_S:
            try:
                return call()
            except _Passing as passing:
                self._wait(passing, wait_s)
        return call()

    def _wait(self, passing: _Passing, wait_s: float | None) -> None:
        """Wait as long as the server asks for, or we would; raise what has been tried often enough."""
        if wait_s is None:
            raise passing
        self._pause(wait_s if passing.wait_s is None else passing.wait_s)

    def _whole(self, method: str, path: str, *, params: Parameters | None = None, json: object = None) -> bytes:
        text, until = bytearray(), monotonic() + _WHOLE_S
        with self._answer(method, path, params=params, json=json) as answer:
            for piece in answer.iter_bytes():
                text += piece
                if len(text) > _LIMIT_BYTES:
                    raise RegistryUnreachable(f"{self._name} gives an answer to {path} of more than {_LIMIT_BYTES} bytes")
                if monotonic() > until:
                    raise RegistryUnreachable(f"{self._name} takes more than {_WHOLE_S:.0f} s to answer {path}")
        return bytes(text)

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Parameters | None = None,
        json: object = None,
    ) -> Iterator[httpx2.Response]:
        """Give a good answer, whose body is still to be read."""
        try:
            with self._http.stream(method, self.address + path, headers=headers, params=params, json=json) as answer:
                if not answer.is_success:
                    raise self._refusal(answer, path)
                yield answer
        except httpx2.TimeoutException as error:
            raise RegistryUnreachable(f"{self._name} does not answer; check the network and the server") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise _Passing(f"{self._name} cannot be reached: {_cut(str(error))}; check the address, and that the server is up") from error

    def _refusal(self, answer: httpx2.Response, path: str) -> RegistryUnreachable:
        if answer.is_redirect:
            target = _cut(str(answer.headers.get("location", "")))
            return RegistryUnreachable(f"{self._name} redirects to {target}; name that server in the registry's URI")
        words = _words(answer)
        said = f"{self._name} answers {answer.status_code} to {path}: {_cut(words.message)}"
        if answer.status_code in _PASSING:
            passing = _Passing(said)
            passing.wait_s = _seconds(answer)
            return passing
        advice = f"; set {CREDENTIALS}" if answer.status_code == 401 else ""  # noqa: PLR2004
        return MlflowRefusal(f"{said}{advice}", answer.status_code, words.error_code)

    @property
    def _name(self) -> str:
        return f"MLflow at {self.address}"


def _words(answer: httpx2.Response) -> _Words:
    """Return what the server says; what stands in its way may say it in its own form."""
    text = b""
    for piece in answer.iter_bytes():
        text += piece
        if len(text) > _WORDS_BYTES:
            break
    try:
        return msgspec.json.decode(text, type=_Words)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Words(message=text.decode(errors="replace"))


def _seconds(answer: httpx2.Response) -> float | None:
    text = str(answer.headers.get("retry-after", ""))
    return min(_LONGEST_WAIT_S, int(text)) if text.isdecimal() and len(text) < 9 else None  # noqa: PLR2004 - digits


def _cut(text: str) -> str:
    """Return the text as it may stand in a message: on one line, printable, and not endless."""
    line = "".join(character if character.isprintable() else " " for character in text[: 2 * _WORDS])
    return " ".join(line.split())[:_WORDS]
