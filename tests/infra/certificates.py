"""An authority of our own, and certificates that it signs; nobody else trusts them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.infra.processes import LOOPBACK


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Authority:
    """Signs certificates into a folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path) -> Authority:
        """Make an authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name("Closed Loop test authority"))
            .issuer_name(_name("Closed Loop test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        made = cls(folder, key, certificate)
        made.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return made

    @property
    def bundle(self) -> Path:
        """The file that makes a client trust this authority."""
        return self.folder / "authority.pem"

    def trusting(self) -> ssl.SSLContext:
        """Return what a client speaks TLS with that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.bundle))

    def serving(self, name: str = LOOPBACK, *, days: int = 1) -> ssl.SSLContext:
        """Return what a server speaks TLS with; ``days`` below 0 is over already."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        other = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([other]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.folder / f"server-{certificate.serial_number}.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
