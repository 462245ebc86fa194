# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away public key infrastructure for client certificates, good ones and all kinds of bad ones.

Root A is the one that configurations trust, root B is nobody's. Made when a run first asks for it; keys
never leave the run's folder.
"""

import dataclasses
import datetime
import functools
import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from harness import smtp

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc)

CLIENT_AUTH = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER_AUTH = (ExtendedKeyUsageOID.SERVER_AUTH,)

NAME = "mail.contoso.example"  # the one that the policies of the cases want


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def subject_name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def raw_subject_alternative_name(*names):
    """The extension as octets, for dNSNames that no honest library would write."""
    inner = b"".join(b"\x82" + bytes([len(name)]) + name for name in names)
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30" + bytes([len(inner)]) + inner)


def general_name(name):
    return x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def colons(digest):
    return ":".join(f"{octet:02X}" for octet in digest)


@dataclasses.dataclass
class Identity:
    """A certificate with its key, in files as clients want them."""
    certificate: x509.Certificate
    key: object
    chain: list              # what a client sends after the certificate
    cert_path: pathlib.Path  # certificate and chain
    key_path: pathlib.Path
    both_path: pathlib.Path  # key, certificate and chain

    @property
    def serial(self):
        return self.certificate.serial_number

    @property
    def fingerprint(self):
        return colons(self.certificate.fingerprint(hashes.SHA256()))

    @property
    def public_key(self):
        return colons(hashlib.sha256(self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).digest())

    def context(self, **options):
        """A client's TLS context that presents it. Sessions are resumed within one context only."""
        tls = smtp.context(**options)
        tls.load_cert_chain(self.both_path)
        return tls


class Authority:
    """`parent` None: a root. `may_sign` False: CA:FALSE, which is what it must not get away with. `permitted`:
    the domain that it may sign for. `end`: until when it is valid."""

    def __init__(self, common_name, parent=None, may_sign=True, length=None, permitted=None, end=365 * DAY):
        self.key, self.name = new_key(), subject_name(common_name)
        self.parent = parent
        signer_key, signer_name = (parent.key, parent.name) if parent else (self.key, self.name)
        builder = (
            x509.CertificateBuilder().subject_name(self.name).issuer_name(signer_name)
            .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 30 * DAY).not_valid_after(NOW + end)
            .add_extension(x509.BasicConstraints(ca=may_sign, path_length=length if may_sign else None), critical=True)
            .add_extension(key_usage(signs=may_sign), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key()), critical=False))
        if permitted:
            builder = builder.add_extension(
                x509.NameConstraints(permitted_subtrees=[x509.DNSName(permitted)], excluded_subtrees=None), critical=True)
        self.certificate = builder.sign(signer_key, hashes.SHA256())

    def issue(self, common_name, names=None, *, key=None, begin=-DAY, end=30 * DAY, purposes=CLIENT_AUTH, raw_names=None):
        """A leaf. `names` None: the common name is also a dNSName; (): none at all; addresses of ipaddress are
        iPAddresses."""
        key = key or new_key()
        builder = (
            x509.CertificateBuilder().subject_name(subject_name(common_name)).issuer_name(self.name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begin).not_valid_after(NOW + end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if raw_names:
            builder = builder.add_extension(raw_subject_alternative_name(*raw_names), critical=False)
        elif names is None or names:
            listed = (common_name,) if names is None else names
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general_name(name) for name in listed]), critical=False)
        return builder.sign(self.key, hashes.SHA256()), key

    def revocation_list(self, revoked=(), fresh=True, point=None, delta=False, key=None, algorithm=hashes.SHA256()):
        """`point`: what distribution_point() gave. `key`: whose signature it really has."""
        begin, end = (NOW - DAY, NOW + 7 * DAY) if fresh else (NOW - 20 * DAY, NOW - 10 * DAY)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(begin).next_update(end)
        for serial in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - 20 * DAY).build())
        if point:
            builder = builder.add_extension(point, critical=True)
        if delta:
            builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
        return (builder.add_extension(x509.CRLNumber(1), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
                .sign(key or self.key, algorithm))


def distribution_point(place=None, users=False, authorities=False, reasons=None, indirect=False):
    """For which certificates a list is (RFC 5280 5.2.5)."""
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(place)] if place else None, relative_name=None,
        only_contains_user_certs=users, only_contains_ca_certs=authorities, only_some_reasons=reasons,
        indirect_crl=indirect, only_contains_attribute_certs=False)


def key_usage(signs):
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
                         key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                         decipher_only=False)


class Pki:
    """`identities` by name; the cases say which is wrong in which way. `files` of CAs and lists as paths."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.root_a, self.root_b = Authority("Root A"), Authority("Root B")
        self.intermediate = Authority("Intermediate A", self.root_a)
        self.withdrawn = Authority("Withdrawn Intermediate A", self.root_a)
        self.no_authority = Authority("Not An Authority", self.root_a, may_sign=False)
        self.short = Authority("Path Length 0", self.root_a, length=0)
        self.too_deep = Authority("Below Path Length 0", self.short)

        self.ca_a = self.write("root-a.pem", pem(self.root_a.certificate))
        self.ca_b = self.write("root-b.pem", pem(self.root_b.certificate))
        self.identities = {}
        self._make_identities()
        self.crl = self.write_crl("root-a.crl", self.root_a, self.revoked_serials)
        self.stale_crl = self.write_crl("root-a-stale.crl", self.root_a, self.revoked_serials, fresh=False)
        self.other_crl = self.write_crl("root-b.crl", self.root_b)

    def _make_identities(self):
        a, below = self.root_a, [self.intermediate.certificate]
        self.add("right", *a.issue(NAME))
        self.add("wrong name", *a.issue("mail.fabrikam.example"))
        self.add("expired", *a.issue(NAME, begin=-10 * DAY, end=-DAY))
        self.add("not yet valid", *a.issue(NAME, begin=5 * DAY))
        self.add("server purpose", *a.issue(NAME, purposes=SERVER_AUTH))
        self.add("any purpose", *a.issue(NAME, purposes=None))
        self.add("revoked", *a.issue(NAME))
        self.add("untrusted", *self.root_b.issue(NAME))
        self.add("untrusted with its root", *self.root_b.issue(NAME), chain=[self.root_b.certificate])
        self.add("rsa", *a.issue(NAME, key=rsa.generate_private_key(65537, 2048)))
        # A roll-over: the old one is pinned by certificate, the new one by its public key.
        self.add("old", *a.issue("roll.contoso.example"))
        self.add("new", *a.issue("roll.contoso.example"))
        self.add("renewed", *a.issue("roll.contoso.example", key=self["new"].key))
        self.add("common name only", *a.issue(NAME, names=()))
        self.add("common name beside", *a.issue(NAME, names=("other.contoso.example",)))
        self.add("nul", *a.issue("other.contoso.example", raw_names=(NAME.encode() + b"\0.evil.example",)))
        self.add("nul in a host name", *a.issue("other.contoso.example", raw_names=(b"mail\0.contoso.example",)))
        self.add("*.com", *a.issue("other.contoso.example", raw_names=(b"*.com",)))
        self.add("*", *a.issue("other.contoso.example", raw_names=(b"*",)))
        self.add("wildcard", *a.issue("other.contoso.example", names=("*.contoso.example",)))
        self.add("partial wildcard", *a.issue("other.contoso.example", raw_names=(b"m*.contoso.example",)))
        self.add("upper case", *a.issue("other.contoso.example", names=(NAME.upper(),)))
        self.add("second name", *a.issue("other.contoso.example", names=("a.example", NAME)))
        self.add("intermediate", *self.intermediate.issue(NAME), chain=below)
        self.add("missing intermediate", *self.intermediate.issue(NAME))
        self.add("intermediate and root", *self.intermediate.issue(NAME), chain=below + [a.certificate])
        self.add("chain in disorder", *self.intermediate.issue(NAME), chain=[self.root_b.certificate] + below)
        self.add("revoked by the intermediate", *self.intermediate.issue(NAME), chain=below)
        self.add("revoked intermediate", *self.withdrawn.issue(NAME), chain=[self.withdrawn.certificate])
        # An issuing CA without alternative names below one that may sign for some names only.
        for permitted in ("contoso.example", "fabrikam.example"):
            above = Authority(f"Only {permitted}", a, permitted=permitted)
            issuing = Authority(f"Issuing CA of {permitted}", above)
            chain = [issuing.certificate, above.certificate]
            self.add(f"only {permitted}", *issuing.issue(NAME), chain=chain)
            self.add(f"only {permitted}, common name", *issuing.issue(NAME, names=()), chain=chain)
            self.add(f"only {permitted}, blank", *issuing.issue("x y.contoso.example", names=()), chain=chain)
        self.add("CA:FALSE", *self.no_authority.issue(NAME), chain=[self.no_authority.certificate])
        self.add("path length", *self.too_deep.issue(NAME), chain=[self.too_deep.certificate, self.short.certificate])
        self.add("deep chain", *self.below(7))
        self.very_deep = self.add("very deep chain", *self.below(40))
        del self.identities["very deep chain"]  # has a case of its own
        leaf = self["right"]
        forged = Authority(NAME)  # a leaf of A used as if it were a CA
        forged.key, forged.name = leaf.key, leaf.certificate.subject
        self.add("signed by a leaf", *forged.issue(NAME), chain=[leaf.certificate])
        own = Authority(NAME)
        own.name = subject_name(NAME)
        self.add("self-signed", *own.issue(NAME, key=own.key))
        own = Authority(NAME)
        self.add("self-signed and expired", *own.issue(NAME, key=own.key, begin=-10 * DAY, end=-DAY))

    def below(self, depth):
        """A leaf under so many intermediates, and what a client sends of them."""
        authority, chain = self.root_a, []
        for number in range(depth):
            authority = Authority(f"Intermediate {number} Of {depth}", authority)
            chain.insert(0, authority.certificate)
        return (*authority.issue(NAME), chain)

    @property
    def revoked_serials(self):
        return (self["revoked"].serial, self.withdrawn.certificate.serial_number)

    def __getitem__(self, name):
        return self.identities[name]

    def add(self, name, certificate, key, chain=()):
        base = f"client-{certificate.serial_number:x}"
        texts = pem(certificate) + b"".join(pem(other) for other in chain)
        identity = Identity(certificate, key, list(chain), self.write(f"{base}.pem", texts),
                            self.write(f"{base}.key", key_pem(key)),
                            self.write(f"{base}-both.pem", key_pem(key) + texts))
        self.identities[name] = identity
        return identity

    def write(self, name, octets):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(octets)
        return path

    def write_crl(self, name, authority, revoked=(), fresh=True, **special):
        """PEM, or DER where the name ends in .der. `special`: as for revocation_list()."""
        encoding = serialization.Encoding.DER if name.endswith(".der") else serialization.Encoding.PEM
        return self.write(name, authority.revocation_list(revoked, fresh, **special).public_bytes(encoding))

    @functools.cache
    def context(self, name):
        """A client's TLS context that presents this identity; None: in TLS without one."""
        return self[name].context() if name else smtp.context()
