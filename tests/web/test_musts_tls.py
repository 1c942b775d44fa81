"""What TAXII 2.1 says about HTTPS (§8.2.2, §8.3.1): versions, ciphers, early data, clients' certificates."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aleat import Workspace
from aleat.web import Listening
from tests.exchange.test_http_tls import Authority, authority
from tests.web.conftest import running

__all__ = ["authority"]


@pytest.fixture
def port(workspace: Workspace, authority: Authority) -> Iterator[int]:
    """The port of a server with TLS, which asks for clients' certificates."""
    certificate = x509.load_pem_x509_certificate(Path(authority.ours).read_bytes())
    workspace.add_account("machine", "south", certificate=certificate.fingerprint(hashes.SHA256()).hex())
    with running(workspace, listening=Listening(port=0, certificate=authority.server, client_ca=authority.ca)) as url:
        yield int(urlsplit(url).port or 0)


def context(authority: Authority, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client's, of one version of TLS if named."""
    made = ssl.create_default_context(cafile=authority.ca)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


def greet(port: int, client: ssl.SSLContext) -> tuple[str, str]:
    """Shake hands; return the version and the cipher."""
    with (
        socket.create_connection(("localhost", port), timeout=10) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return str(secure.version()), secure.cipher()[0]  # type: ignore[index]


def status(port: int, client: ssl.SSLContext) -> int:
    """What discovery answers who proves nothing but a certificate."""
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=client)
    try:
        connection.request("GET", "/taxii2/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_tls_versions_and_ciphers(port: int, authority: Authority) -> None:
    """1.2 and 1.3 are spoken; older ones aren't, nor a cipher of RFC 7540's list (no key exchange of its own, CBC)."""
    assert greet(port, context(authority, ssl.TLSVersion.TLSv1_3))[0] == "TLSv1.3"
    version, cipher = greet(port, context(authority, ssl.TLSVersion.TLSv1_2))
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-")
    for listed in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256"):
        weak = context(authority, ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers(f"{listed}:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            greet(port, weak)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_are_refused(port: int, authority: Authority) -> None:
    """TLS 1.1 gets no answer, whatever the client's settings."""
    old = context(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        greet(port, old)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl isn't installed")
def test_no_data_comes_early(port: int, authority: Authority) -> None:
    """A ticket of TLS 1.3 allows no early data (0-RTT)."""
    command = ["openssl", "s_client", "-tls1_3", "-connect", f"localhost:{port}", "-CAfile", authority.ca]
    request = "GET /taxii2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    said = subprocess.run(command, input=request.encode(), capture_output=True, timeout=20, check=False).stdout.decode(
        "utf-8", "replace"
    )
    assert "TLSv1.3" in said
    assert "Max Early Data: 0" in said or "Early data was not sent" in said
    assert "Max Early Data: 1" not in said


def test_client_certificates_are_checked(port: int, authority: Authority, tmp_path: Path) -> None:
    """Whom the authority vouches for and an account pins comes in; who made his own doesn't; none at all is a 401."""
    ours = context(authority)
    ours.load_cert_chain(authority.ours, authority.key, authority.password)
    assert status(port, ours) == 200
    assert status(port, context(authority)) == 401
    forged = context(authority)
    forged.load_cert_chain(make_certificate(tmp_path, timedelta(days=1)))
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        status(port, forged)


def make_certificate(folder: Path, lasts: timedelta) -> str:
    """A certificate that nobody but itself vouches for, with the name of ours, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "north")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + lasts)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "forged.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return str(path)
