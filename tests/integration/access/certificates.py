"""Certificate authorities and what they sign, for tests."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAMES: Final = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
_USES: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


class Pair:
    """A certificate and its private key, as PEM."""

    def __init__(self, name: str, signer: "Pair | None" = None) -> None:
        """Make one that signs itself, or one that is signed by another."""
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by = self if signer is None else signer
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(by.subject, self.subject, self.private.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        if signer is not None:
            builder = builder.add_extension(_NAMES, critical=False).add_extension(_USES, critical=False)
        self.serial = 0
        signed = builder.sign(by.private, hashes.SHA256())
        self.serial = signed.serial_number
        self.certificate = signed.public_bytes(Encoding.PEM)

    def key(self, password: bytes = b"") -> bytes:
        """Return the private key, encrypted if there is a password."""
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """Replace a file at once."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.chmod(mode)
    return draft.replace(path)


def client_context(root: Pair, home: Path, own: Pair | None = None) -> ssl.SSLContext:
    """Return what a client needs that trusts one authority, and may show a certificate of its own."""
    context = ssl.create_default_context(cadata=root.certificate.decode())
    if own is not None:
        certificate, key = put(home / f"{own.serial}.pem", own.certificate), put(home / f"{own.serial}.key", own.key())
        context.load_cert_chain(certificate, key)
    return context
