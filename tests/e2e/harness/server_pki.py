# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a partner's server, good ones and all kinds of bad ones. Root A is the one that routes trust."""

import ipaddress
import ssl

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness.pki import CLIENT_AUTH, DAY, SERVER_AUTH, Authority, Pki, subject_name

HOST = "mx.partner.example"  # the one that routes connect to
DOMAIN = "partner.example"


class ServerPki(Pki):
    def _make_identities(self):
        a = self.root_a
        self.leaf("right", a, HOST)
        self.leaf("rsa", a, HOST, key=rsa.generate_private_key(65537, 2048))
        self.leaf("any purpose", a, HOST, purposes=None)
        self.leaf("upper case", a, "other.example", (HOST.upper(),))
        self.leaf("second name", a, "other.example", ("other.example", HOST))
        self.leaf("intermediate", self.intermediate, HOST, chain=[self.intermediate.certificate])
        self.leaf("wildcard", a, "other.example", (f"*.{DOMAIN}",))
        self.leaf("neighbour", a, f"other.{DOMAIN}")
        # Wrong names.
        self.leaf("wrong name", a, "mx.fabrikam.example")
        self.leaf("domain itself", a, DOMAIN)
        self.leaf("domain in front", a, f"{HOST}.fabrikam.example")
        self.leaf("longer domain", a, f"mx.not{DOMAIN}")
        self.leaf("wildcard of too much", a, "other.example", ("*.example",))
        self.leaf("wildcard in the middle", a, "other.example", raw_names=(b"mx.*.example",))
        self.leaf("two wildcards", a, "other.example", raw_names=(b"*.*.example",))
        self.leaf("partial wildcard", a, "other.example", raw_names=(b"m*." + DOMAIN.encode(),))
        self.leaf("*", a, "other.example", raw_names=(b"*",))
        self.leaf("nul", a, "other.example", raw_names=(HOST.encode() + b"\0.evil.example",))
        self.leaf("common name only", a, HOST, ())
        self.leaf("common name beside", a, HOST, ("other.example",))
        # Addresses.
        self.leaf("address", a, "other.example", (ipaddress.ip_address("127.0.0.1"),))
        self.leaf("other address", a, "other.example", (ipaddress.ip_address("127.0.0.2"),))
        self.leaf("address as a name", a, "other.example", ("127.0.0.1",))
        self.leaf("address as a wildcard", a, "other.example", raw_names=(b"*.0.0.1",))
        # Wrong in other ways.
        self.leaf("expired", a, HOST, begin=-10 * DAY, end=-DAY)
        self.leaf("not yet valid", a, HOST, begin=5 * DAY)
        self.leaf("client purpose", a, HOST, purposes=CLIENT_AUTH)
        self.leaf("revoked", a, HOST)
        self.leaf("unknown CA", self.root_b, HOST)
        self.leaf("unknown CA with its root", self.root_b, HOST, chain=[self.root_b.certificate])
        self.leaf("missing intermediate", self.intermediate, HOST)
        self.leaf("CA:FALSE", self.no_authority, HOST, chain=[self.no_authority.certificate])
        own = Authority(HOST)
        own.name = subject_name(HOST)
        self.leaf("self-signed", own, HOST, key=own.key)
        # Who signs what servers staple.
        self.leaf("OCSP signer", a, "OCSP responder", (), purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        self.leaf("OCSP signer of another CA", self.root_b, "OCSP responder", (), purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,))
        # What we show to a server that asks.
        self.add("our own", *a.issue("our.example", purposes=CLIENT_AUTH)).key_path.chmod(0o600)

    def leaf(self, name, authority, common_name, names=None, *, chain=(), purposes=SERVER_AUTH, **special):
        self.add(name, *authority.issue(common_name, names, purposes=purposes, **special), chain=chain)

    def server_context(self, name, lowest=None, highest=None, client_ca=None, demand=False, curve=None):
        """A server's. `client_ca`: asks for a client's certificate of this CA, with `demand` for one at any rate."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self[name].both_path)
        if highest and highest < ssl.TLSVersion.TLSv1_2:
            tls.set_ciphers("ALL:@SECLEVEL=0")
        tls.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        tls.minimum_version = lowest or ssl.TLSVersion.TLSv1_2
        tls.maximum_version = highest or ssl.TLSVersion.MAXIMUM_SUPPORTED
        if client_ca:
            tls.load_verify_locations(client_ca)
            tls.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
        if curve:
            tls.set_ecdh_curve(curve)
        return tls
