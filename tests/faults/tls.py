"""Certificates that are wrong in one way each."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Tls:
    """``bundle``: the authority that the gateway trusts. The rest: what a server shows."""

    bundle: Path
    good: ssl.SSLContext
    expired: ssl.SSLContext
    of_another_host: ssl.SSLContext
    self_signed: ssl.SSLContext


def issued(folder: Path) -> Tls:
    authority, nobody = trustme.CA(), trustme.CA()
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return Tls(
        bundle=bundle,
        good=_showing(authority.issue_cert("localhost")),
        expired=_showing(authority.issue_cert("localhost", not_after=yesterday)),
        of_another_host=_showing(authority.issue_cert("other.example")),
        self_signed=_showing(nobody.issue_cert("localhost")),
    )


def _showing(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context
