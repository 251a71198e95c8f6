"""TLS on a real server: which handshakes succeed, and certificates that change while it serves."""

import json
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import grpc
import httpx2
import pytest
from certificates import Pair, client_context, put
from serving import GOOD, Serving, until

from penstock.domain.start import StartError
from penstock.security.options import TlsOptions
from penstock.security.reload import Reloader
from penstock.security.tls import tls_of
from penstock.wire import inference as pb

INFER: Final = "/v2/models/id_fp32/infer"
ROOT, OTHER_ROOT = Pair("root"), Pair("other root")
FIRST, SECOND = Pair("first", ROOT), Pair("second", OTHER_ROOT)
CLIENT, OTHER_CLIENT = Pair("client", ROOT), Pair("other client", OTHER_ROOT)

Secured = Callable[..., Serving]


class SecureServing(Serving):
    """A server whose clients are made by the test: each handshake is one that it asked for."""

    def _connect(self) -> None:
        """Ask the admin listener, which is in the clear, and nobody else."""
        self.clients = ExitStack()
        self.admin = httpx2.Client(base_url=f"http://{self.addresses['admin']}", timeout=60)  # type: ignore[misc]
        self.client = self.channel = self.admin  # type: ignore[misc,assignment]

    @property
    def home(self) -> Path:
        """Where its certificate and key are."""
        return self.state.parent

    def handshake(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Return a connection to the HTTP listener."""
        host, _, port = self.addresses["http"].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as line:
            return context.wrap_socket(line, server_hostname="localhost")

    def serial(self) -> int:
        """Return the number of the certificate that a new handshake is shown."""
        context = ssl.create_default_context(cadata=(ROOT.certificate + OTHER_ROOT.certificate).decode())
        with self.handshake(context) as line:
            return int(str(line.getpeercert()["serialNumber"]), 16)  # type: ignore[index]

    def over_http(self, context: ssl.SSLContext) -> httpx2.Client:
        """Return a client that trusts what the context does."""
        address = f"https://localhost:{self.addresses['http'].rpartition(':')[2]}"
        return self.clients.enter_context(httpx2.Client(base_url=address, verify=context, timeout=20))

    def over_grpc(self, root: Pair, own: Pair | None = None) -> grpc.Channel:
        """Return a channel of its own to the gRPC listener."""
        key, certificate = (None, None) if own is None else (own.key(), own.certificate)
        credentials = grpc.ssl_channel_credentials(root.certificate, key, certificate)
        port = self.addresses["grpc"].rpartition(":")[2]
        options = [("grpc.use_local_subchannel_pool", 1)]
        return self.clients.enter_context(grpc.secure_channel(f"localhost:{port}", credentials, options))


TRANSPORTS: Final = ("native", pytest.param("grpcio", marks=pytest.mark.slow))


def begun(registry: Path, home: Path, transport: str, *settings: str) -> SecureServing:
    """Return a server of the first certificate, which the caller ends."""
    put(home / "certificate.pem", FIRST.certificate, 0o644)
    put(home / "key.pem", FIRST.key())
    serving = SecureServing(registry, home)
    try:
        tls = ("security.tls.certificate=certificate.pem", "security.tls.key=key.pem")
        serving.start(f"grpc.transport={transport}", 'models.slow.warmup="off"', *tls, *settings)
    except BaseException:
        serving.kill()
        raise
    return serving


@pytest.fixture(params=TRANSPORTS)
def secured(registry: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Secured]:
    """Return a function that starts a server of the first certificate with further settings."""
    started: list[SecureServing] = []

    def start(*settings: str) -> SecureServing:
        started.append(begun(registry, tmp_path, request.param, *settings))
        return started[-1]

    yield start
    for serving in started:
        serving.clients.close()
        serving.kill()


@pytest.fixture(scope="module", params=TRANSPORTS)
def kept(registry: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[SecureServing]:
    """The server whose certificates tests change; it ends well."""
    serving = begun(registry, tmp_path_factory.mktemp("secured"), request.param)
    try:
        yield serving
        serving.clients.close()
        serving.stop()
    finally:
        serving.kill()


@pytest.fixture
def serving(kept: SecureServing) -> Iterator[SecureServing]:
    """A server of the first certificate, which a test may change: the next one finds it as it was."""
    yield kept
    put(kept.home / "certificate.pem", FIRST.certificate, 0o644)
    put(kept.home / "key.pem", FIRST.key())
    until(lambda: kept.serial() == FIRST.serial)


def alive(channel: grpc.Channel) -> bool | grpc.StatusCode:
    """Tell whether a call is answered, or its status."""
    try:
        answer = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=5)
    except grpc.RpcError as error:
        return error.code()
    return pb.ServerLiveResponse.FromString(answer).live


def test_certificates_are_replaced_without_a_dropped_connection(serving: SecureServing, tmp_path: Path) -> None:
    """New handshakes take the new one, over HTTP and gRPC; connections that are open go on under the old one."""
    old_http, old_grpc = serving.over_http(client_context(ROOT, tmp_path)), serving.over_grpc(ROOT)
    assert old_http.post(INFER, json=GOOD).status_code == 200
    assert alive(old_grpc) is True
    assert serving.serial() == FIRST.serial

    put(serving.home / "certificate.pem", SECOND.certificate, 0o644)  # for a moment the two do not fit
    put(serving.home / "key.pem", SECOND.key())

    until(lambda: serving.serial() == SECOND.serial)
    assert old_http.post(INFER, json=GOOD).status_code == 200
    assert alive(old_grpc) is True
    assert alive(serving.over_grpc(OTHER_ROOT)) is True
    assert alive(serving.over_grpc(ROOT)) is grpc.StatusCode.UNAVAILABLE
    assert serving.over_http(client_context(OTHER_ROOT, tmp_path)).post(INFER, json=GOOD).status_code == 200


def test_certificate_that_cannot_be_used_changes_nothing(serving: SecureServing, tmp_path: Path) -> None:
    """The log says why, and handshakes go on with what was good."""
    before = len(serving.log)
    put(serving.home / "key.pem", SECOND.key())
    until(lambda: "the TLS certificate changed and cannot be used" in serving.log[before:])
    assert serving.serial() == FIRST.serial
    put(serving.home / "key.pem", FIRST.key(), 0o644)
    until(lambda: "everybody may read or write it" in serving.log[before:])

    assert serving.serial() == FIRST.serial
    assert alive(serving.over_grpc(ROOT)) is True


def test_clients_need_a_certificate_where_that_is_asked_for(secured: Secured, tmp_path: Path) -> None:
    """Of the authority in force: when that changes, so do those whose new handshakes succeed."""
    put(tmp_path / "clients.pem", ROOT.certificate)
    serving = secured("security.tls.client_ca=clients.pem")
    known, stranger, nobody = (client_context(ROOT, tmp_path, own) for own in (CLIENT, OTHER_CLIENT, None))
    old = serving.over_http(known)

    assert old.post(INFER, json=GOOD).status_code == 200
    for context in (stranger, nobody):
        with pytest.raises(httpx2.TransportError):
            serving.over_http(context).get("/v2/health/live")
    assert alive(serving.over_grpc(ROOT, CLIENT)) is True
    assert alive(serving.over_grpc(ROOT, OTHER_CLIENT)) is grpc.StatusCode.UNAVAILABLE
    assert alive(serving.over_grpc(ROOT)) is grpc.StatusCode.UNAVAILABLE

    put(tmp_path / "clients.pem", OTHER_ROOT.certificate)

    until(lambda: alive(serving.over_grpc(ROOT, OTHER_CLIENT)) is True)
    assert serving.over_http(stranger).post(INFER, json=GOOD).status_code == 200
    assert alive(serving.over_grpc(ROOT, CLIENT)) is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(httpx2.TransportError):
        serving.over_http(known).get("/v2/health/live")
    assert old.post(INFER, json=GOOD).status_code == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_and_clear_text_are_not_spoken(serving: SecureServing, tmp_path: Path) -> None:
    """TLS 1.2 is the least; 1.3 is what is taken."""
    for version, spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = client_context(ROOT, tmp_path)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        if spoken:
            serving.handshake(context).close()
        else:
            with pytest.raises(ssl.SSLError):
                serving.handshake(context)
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"http://{serving.addresses['http']}/v2/health/live")
    assert alive(grpc.insecure_channel(serving.addresses["grpc"])) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
def test_admin_listener_speaks_it_if_it_is_told_to(secured: Secured, tmp_path: Path) -> None:
    """And not otherwise."""
    serving = secured('security.tls.listeners=["admin"]')

    context = client_context(ROOT, tmp_path)
    address = f"https://localhost:{serving.addresses['admin'].rpartition(':')[2]}"
    assert httpx2.get(f"{address}/metrics", verify=context).status_code == 200
    assert httpx2.get(f"http://{serving.addresses['http']}/v2/health/live").json() == {"live": True}
    shown = [serving.command[0], "traffic", "show", "id_fp32", "--json", "--admin", address, "--set", f"server.state_dir={serving.state}"]
    trusted = {**os.environ, "SSL_CERT_FILE": str(put(tmp_path / "root.pem", ROOT.certificate))}
    assert subprocess.run(shown, capture_output=True, check=False, env=trusted).returncode == 0
    assert b"certificate verify failed" in subprocess.run(shown, capture_output=True, check=False).stderr
    assert json.loads((tmp_path / "ready.json").read_text())["addresses"] == serving.addresses


def test_own_commands_show_a_certificate_where_that_is_asked_for(secured: Secured, tmp_path: Path) -> None:
    """Over the admin listener and HTTP; without one they say what is missing."""
    put(tmp_path / "clients.pem", ROOT.certificate)
    client, key = put(tmp_path / "client.pem", CLIENT.certificate), put(tmp_path / "client.key", CLIENT.key())
    both = put(tmp_path / "both.pem", CLIENT.certificate + CLIENT.key())
    (tmp_path / "truth.csv").write_text("id,reward\na,1\n")
    listeners = 'security.tls.listeners=["http","grpc","admin"]'
    serving = secured("security.tls.client_ca=clients.pem", listeners, "models.id_fp32.feedback.enabled=true")
    trusted = {**os.environ, "SSL_CERT_FILE": str(put(tmp_path / "root.pem", ROOT.certificate))}

    def ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
        place = ("--set", f"server.state_dir={serving.state}")
        return subprocess.run([serving.command[0], *command, *place], capture_output=True, text=True, check=False, env=trusted)

    addresses = {name: f"https://localhost:{address.rpartition(':')[2]}" for name, address in serving.addresses.items()}
    show = ("traffic", "show", "id_fp32", "--admin", addresses["admin"])
    bring = ("payloads", "feedback", "import", tmp_path / "truth.csv", "--model", "id_fp32", "--http", addresses["http"])

    for command in (show, bring):
        for own in (("--client-certificate", both), ("--client-certificate", client, "--client-key", key)):
            told = ran(*command, *own)
            assert told.returncode == 0, told.stderr
        bare = ran(*command)
        assert (bare.returncode, bare.stderr.count("\n")) == (1, 1), bare.stderr
        assert "name one with --client-certificate" in bare.stderr


def spoil_readable(home: Path) -> None:
    """Let everybody read the key."""
    (home / "key.pem").chmod(0o644)


def spoil_other(home: Path) -> None:
    """Take the key of another certificate."""
    put(home / "key.pem", SECOND.key())


def spoil_encrypted(home: Path) -> None:
    """Encrypt the key."""
    put(home / "key.pem", FIRST.key(b"secret"))


def spoil_missing(home: Path) -> None:
    """Take the certificate away."""
    (home / "certificate.pem").unlink()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the first certificate and its key are, and where settings are read."""
    put(tmp_path / "certificate.pem", FIRST.certificate)
    put(tmp_path / "key.pem", FIRST.key())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("spoil", [spoil_readable, spoil_other, spoil_encrypted, spoil_missing])
def test_certificate_that_cannot_be_used_is_told_at_the_start(home: Path, spoil: Callable[[Path], None]) -> None:
    """The message names the files."""
    spoil(home)

    with pytest.raises(StartError, match=r"^TLS with certificate.pem and key.pem cannot be used: "):
        tls_of(TlsOptions(certificate="certificate.pem", key="key.pem"), Reloader())


def test_server_does_not_start_with_a_certificate_that_it_cannot_use(registry: Path, home: Path) -> None:
    """And says so."""
    spoil_other(home)

    with pytest.raises(AssertionError, match=r"the server ended with 2:\nTLS with certificate.pem and key.pem cannot be used"):
        Serving(registry, home).start("security.tls.certificate=certificate.pem", "security.tls.key=key.pem")
