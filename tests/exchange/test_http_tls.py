"""TLS: servers that nobody vouches for are refused; an authority's file and our own certificate open them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aleat.errors import InputError, RemoteError
from aleat.exchange.access import Access, RemoteLimits, Tls
from aleat.exchange.http_client import HttpClient
from tests.exchange.http_double import Reply, Server, serving


@dataclass(frozen=True)
class Authority:
    """An authority's certificate, the server's, and ours: paths of PEM files; our key is encrypted."""

    ca: str
    server: str
    ours: str
    key: str
    password: str = "a word of ours"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that vouches for localhost and for us."""
    folder = tmp_path_factory.mktemp("tls")
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("An authority")
    ca = _certificate(name, name, key.public_key(), key, ca=True)
    found = {"ca": ca.public_bytes(serialization.Encoding.PEM)}
    for who in ("localhost", "north"):
        own = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(_name(who), name, own.public_key(), key)
        found[who] = certificate.public_bytes(serialization.Encoding.PEM)
        secret = (
            serialization.BestAvailableEncryption(Authority.password.encode())
            if who == "north"
            else serialization.NoEncryption()
        )
        pem = own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)
        found["key" if who == "north" else who] = pem if who == "north" else found[who] + pem
    for file, data in found.items():
        (folder / file).write_bytes(data)
    return Authority(*(str(folder / file) for file in ("ca", "localhost", "north", "key")))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(key, hashes.SHA256())


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    """A server that wants to see our certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    context.load_cert_chain(authority.server)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(lambda _: Reply(body=b"among us"), context) as running:
        yield running


def get(url: str, tls: Tls) -> bytes:
    access = Access(url, tls=tls, limits=RemoteLimits(attempts=2), sleep=lambda _: None)
    with HttpClient(access) as client:
        return client.request("GET", url).body


def test_an_authority_and_a_certificate_open_the_server(server: Server, authority: Authority) -> None:
    """Our key's password comes with them."""
    assert get(server.url, Tls(authority.ca, authority.ours, authority.key, authority.password)) == b"among us"


def test_a_server_that_nobody_vouches_for_is_refused_at_once(server: Server) -> None:
    """No second attempt, and no way around it."""
    with pytest.raises(RemoteError, match="No trusted connection") as caught:
        get(server.url, Tls())
    assert caught.value.code == "tls"


def test_a_certificate_of_another_name_is_refused(server: Server, authority: Authority) -> None:
    """The host that was named is the one that must be vouched for."""
    tls = Tls(authority.ca, authority.ours, authority.key, authority.password)
    with pytest.raises(RemoteError, match="No trusted connection"):
        get(server.url.replace("localhost", "127.0.0.1"), tls)


def test_without_our_certificate_the_server_refuses(server: Server, authority: Authority) -> None:
    """Told as a connection that broke, or as TLS: that is the server's to say."""
    with pytest.raises(RemoteError):
        get(server.url, Tls(authority.ca))


def test_files_that_can_not_be_used_are_told(authority: Authority, tmp_path: Path) -> None:
    """Absent, none, and a wrong password; the password isn't shown."""
    (tmp_path / "none").write_text("no certificate")
    for tls in (
        Tls(str(tmp_path / "absent")),
        Tls(str(tmp_path / "none")),
        Tls(authority.ca, authority.ours, authority.key, "another word"),
        Tls(authority.ca, str(tmp_path / "none")),
    ):
        with pytest.raises(InputError) as caught:
            get("https://localhost/", tls)
        assert "another word" not in str(caught.value)
