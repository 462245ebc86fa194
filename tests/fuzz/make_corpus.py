#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes those seeds of the fuzz targets that are not text: tests/fuzz/corpus/TARGET/NAME.

They are committed; run it again after changing it. Files that it does not know (what was written by hand,
what was found) stay, and certificates that are there are not made anew, since their keys would differ. Needs
python3-cryptography.
"""

import datetime
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"


def write(target, name, content):
    assert len(content) < 4096, (target, name, len(content))
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


# --- Identity, log ----------------------------------------------------------------------------------------

def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


def proxy():
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    ipv4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack(">HH", 40000, 25)
    ssl = tlv(0x20, b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x23, b"TLS_AES_128_GCM_SHA256") +
              tlv(0x22, b"mail.contoso.example") + tlv(0x26, b"X25519"))

    def version2(command, family, body):
        return signature + bytes([command, family]) + struct.pack(">H", len(body)) + body
    headers = {
        "v1_tcp4": b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\nEHLO",
        "v1_tcp6": b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
        "v1_unknown": b"PROXY UNKNOWN ffff::1 x\r\n",
        "v1_blanks": b"PROXY TCP4  192.0.2.7 198.51.100.1 40000 25\r\n",
        "v1_port": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 025\r\n",
        "v1_lf": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "v1_long": b"PROXY UNKNOWN " + b"x" * 100, "v2_tcp4": version2(0x21, 0x11, ipv4) + b"EHLO",
        "v2_tcp6": version2(0x21, 0x21, bytes(range(32)) + ipv4[8:]), "v2_local": version2(0x20, 0, b""),
        "v2_local_more": version2(0x20, 0x11, b"anything"),
        "v2_unix": version2(0x21, 0x31, b"/a".ljust(216, b"\0")),
        "v2_tls": version2(0x21, 0x11, ipv4 + tlv(2, b"mx.example.test") + ssl),
        "v2_tlv_short": version2(0x21, 0x11, ipv4 + b"\x02\0\x20x"),
        "v2_unknown_tlv": version2(0x21, 0x11, ipv4 + tlv(0xee, b"x")),
        "v2_control": version2(0x21, 0x11, ipv4 + tlv(2, b"a\nb")), "v2_datagram": version2(0x21, 0x12, ipv4),
        "v2_version_1": version2(0x11, 0x11, ipv4), "v2_cut": version2(0x21, 0x11, ipv4)[:20],
        "facts_ipv4": b"\0" + bytes(12) + b"\xc0\0\2\7\x9c\x40" + b"\0" + bytes(12) + b"\x7f\0\0\1\0\x19" +
                      b"\x03\x07TLSv1.3\x16TLS_AES_128_GCM_SHA256\x06X25519\x04name" + b"mx.example",
        "facts_mixed": b"\0" + bytes(15) + b"\x01\0\x01\x03 \x01\r\xb8" + bytes(12) + b"\0\x02\x04",
        "facts_mapped": b"\x06" + bytes(18) + b"\x06" + bytes(18) + b"\0\x03a\nb",
        "facts_unix": b"\x07" + bytes(18) + b"\x07",
    }
    for name, octets in headers.items():
        write("proxy", name, octets)


def log_line():
    def fields(*values, message=b""):
        texts = b"".join(b"\x60" + bytes([len(value)]) + value for value in values)
        return texts + b"\1\2\0\x19\x09192.0.2.7\1\0\xff" + message
    lines = {
        "plain": fields(b"192.0.2.7:40000", b"c.example", b"mx.example", b"CN=x, O=y", b"", message=b"hello"),
        "quotes": fields(b'a"b', b"a\\b", b'"', b"\\", b'" helo="x'),
        "keys": fields(b"a helo=b", b"=", b" ", b"a=b", b"c d"),
        "controls": fields(b"a\nb\r", b"\0", b"\x1b[31m", b"\x7f", b"\t", message=b"a\nb"),
        "utf8": fields(b"j\xc3\xb6rg", b"\xff\xfe", b"\xf0\x9f\x93\xae", b"", b"", message=b"\xe2\x80\xa8"),
        "long": fields(b"x" * 255, b'"' * 255, b"\n" * 255, b"\\" * 255, b"\xff" * 255, message=b"m" * 900),
        "json": fields(b'"}', b'{"a":', b"\\u0000", b"</script>", b",", message=b'"},{'),
    }
    for name, octets in lines.items():
        write("log_line", name, octets)


# --- The client's side of SMTP ------------------------------------------------------------------------------

def client_dialogue():
    never, if_offered, always = 0, 1, 2
    implicit, helo, late, ends, hasty, long_winded = 4, 8, 16, 32, 64, 128
    greeting, offer, plain = b"220 mx\r\n|", b"250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n|", b"250-mx\r\n250 SIZE 1\r\n|"
    dialogues = {
        "starttls": (always, greeting + offer + b"220 go\r\n|250 mx\r\n"),
        "starttls_helo": (always | helo, greeting + offer + b"220 go\r\n|"),
        "starttls_hasty": (always | hasty, greeting + offer + b"220 go\r\n|250 mx\r\n"),
        "injection": (always, greeting + offer + b"220 go\r\n250 injected\r\n"),
        "injection_tls": (if_offered, greeting + offer + b"220 go\r\n\x16\x03\x03"),
        "refused": (if_offered, greeting + offer + b"454 4.7.0 no\r\n|250 mx\r\n"),
        "refused_always": (always, greeting + offer + b"502 no\r\n"),
        "refused_and_more": (if_offered, greeting + offer + b"454 no\r\n421 bye\r\n"),
        "not_offered": (always, greeting + plain), "in_clear": (if_offered, greeting + plain),
        "in_clear_helo": (if_offered | helo, greeting + plain), "never": (never, greeting),
        "no_ehlo": (if_offered, greeting + b"502 what\r\n|250 mx\r\n"),
        "ehlo_later": (always, greeting + b"450 later\r\n"), "go_ahead": (always, greeting + b"354 go\r\n"),
        "implicit": (always | implicit, greeting + b"250 mx\r\n"),
        "late": (always | late, greeting + offer + b"220 go\r\n|"), "late_and_more": (always | late, b"220 a\r\n250 b"),
        "greeting_refused": (always, b"554 5.3.2 not for you\r\n"), "greeting_two": (always, b"220 a\r\n220 b\r\n"),
        "greeting_cut": (if_offered | ends, b"220-mx\r\n220 m"), "closed": (always | ends, b""),
        "garbage": (if_offered, b"\x15\x03\x01\0\x02\x02\x0a"), "within_a_line": (always, greeting + b"250 XSTARTTLS\r\n"),
        "long": (always | long_winded, b"220-" + b"x" * 450 + b"\r\n"),
        "bare_lf": (always, b"220 mx\n|250 mx\n"),
    }
    for name, (options, says) in dialogues.items():
        write("client_dialogue", name, bytes([options]) + says)


# --- TLS --------------------------------------------------------------------------------------------------

def vector(size, content):
    return len(content).to_bytes(size, "big") + content


def record(content, kind=22, version=0x0301):
    return bytes([kind]) + version.to_bytes(2, "big") + vector(2, content)


def extension(kind, content):
    return kind.to_bytes(2, "big") + vector(2, content)


def numbers(values):
    return vector(2, b"".join(value.to_bytes(2, "big") for value in values))


SNI = extension(0, vector(2, b"\0" + vector(2, b"mx.example.test")))
GROUPS = extension(10, numbers([29, 23, 24]))
SIGNATURES = extension(13, numbers([0x0403, 0x0503, 0x0804, 0x0401]))
ALPN_SMTP = extension(16, vector(2, vector(1, b"smtp")))
ALPN_H2 = extension(16, vector(2, vector(1, b"h2")))
VERSIONS = extension(43, vector(1, b"\x03\x04\x03\x03"))
PSK_MODES = extension(45, vector(1, b"\1"))
# A point that is on the curve: the X25519 base point.
KEY_SHARE = extension(51, vector(2, b"\0\x1d" + vector(2, b"\x09" + bytes(31))))
EMPTY_SHARE = extension(51, vector(2, b""))
EMS = extension(23, b"")
RENEGOTIATION = extension(0xff01, b"\0")


def hello(*extensions, suites=(0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f), version=0x0303, session=b"s" * 32):
    body = version.to_bytes(2, "big") + b"r" * 32 + vector(1, session) + numbers(suites) + vector(1, b"\0")
    if extensions:
        body += vector(2, b"".join(extensions))
    return b"\1" + vector(3, body)


def client_hello():
    usual = hello(SNI, GROUPS, SIGNATURES, VERSIONS, PSK_MODES, KEY_SHARE)
    tls12 = hello(SNI, GROUPS, SIGNATURES, EMS, RENEGOTIATION, extension(11, b"\1\0"), extension(35, b""),
                  suites=(0xc02b, 0xc02f, 0xcca9))
    twice = extension(0, vector(2, (b"\0" + vector(2, b"a.example")) * 2))
    nul = extension(0, vector(2, b"\0" + vector(2, b"a\0b.example")))
    long = extension(0, vector(2, b"\0" + vector(2, b"x" * 300)))
    rest = (GROUPS, SIGNATURES, VERSIONS, KEY_SHARE)
    binder = extension(41, vector(2, vector(2, b"t" * 40) + bytes(4)) + vector(2, vector(1, bytes(32))))
    hellos = {
        "tls13": usual, "tls12": tls12, "alpn_smtp": hello(SNI, ALPN_SMTP, *rest),
        "alpn_h2": hello(ALPN_H2, *rest),
        "sni_twice": hello(twice, *rest), "sni_nul": hello(nul, *rest), "sni_long": hello(long, *rest),
        "no_extensions": hello(),
        "empty_share": hello(GROUPS, SIGNATURES, VERSIONS, EMPTY_SHARE),
        "sha1_only": hello(GROUPS, extension(13, numbers([0x0201, 0x0203])), VERSIONS),
        "old_version": hello(GROUPS, SIGNATURES, version=0x0301),
        "scsv": hello(GROUPS, SIGNATURES, suites=(0xc02b, 0x5600)),
        "psk": hello(*rest, PSK_MODES, binder),
        "early_data": hello(*rest, PSK_MODES, extension(42, b""), binder),
        "grease": hello(extension(0x0a0a, b""), *rest, suites=(0x1a1a, 0x1301)),
        "no_suites": hello(*rest, suites=(0x002f,)),
    }
    for name, message in hellos.items():
        write("client_hello", name, record(message))
        if name in ("tls13", "tls12", "empty_share", "alpn_h2", "psk", "early_data"):
            write("tls_handshake", f"server_{name}", b"s" + record(message))
    fragments = b"".join(record(usual[i:i + 60]) for i in range(0, len(usual), 60))
    write("client_hello", "fragments", fragments)
    write("client_hello", "cut", record(usual)[:100])
    write("client_hello", "smtp_instead", b"EHLO client.example\r\n")
    write("client_hello", "sslv2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10")
    write("client_hello", "oversized", b"\x16\x03\x01\x40\x01\x01")
    write("client_hello", "alert", record(b"\2\x28", kind=21))
    write("tls_handshake", "server_fragments", b"s" + fragments)
    later = record(b"\1", kind=20, version=0x0303) + record(bytes(60), kind=23)
    write("tls_handshake", "server_then_ccs", b"s" + record(usual) + later)
    key_exchange = record(b"\x10" + vector(3, vector(1, b"\x04" + bytes(64))), version=0x0303)
    write("tls_handshake", "server_tls12_then_key", b"s" + record(tls12) + key_exchange)
    extensions = extension(43, b"\x03\x04") + extension(51, b"\0\x1d" + vector(2, b"\x09" + bytes(31)))
    server_hello = b"\2" + vector(3, b"\x03\x03" + b"R" * 32 + vector(1, b"s" * 32) + b"\x13\x01\0" +
                                  vector(2, extensions))
    sealed = record(bytes(80), kind=23, version=0x0303)
    write("tls_handshake", "client_server_hello", b"c" + record(server_hello, version=0x0303) + sealed)
    write("tls_handshake", "client_alert", b"c" + record(b"\2\x28", kind=21))
    write("tls_handshake", "client_smtp", b"c220 mx\r\n")
    # HelloRetryRequest: the random that says so, and P-256, for which no share was sent.
    retry = b"\2" + vector(3, b"\x03\x03" + bytes.fromhex(
        "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") + vector(1, b"s" * 32) + b"\x13\x01\0" +
        vector(2, extension(43, b"\x03\x04") + extension(51, b"\0\x17")))
    write("tls_handshake", "egress_retry", b"e" + record(retry, version=0x0303))
    write("tls_handshake", "egress_server_hello", b"e" + record(server_hello, version=0x0303) + sealed)
    write("tls_handshake", "egress_alert", b"e" + record(b"\2\x28", kind=21))
    write("tls_handshake", "egress_smtp", b"e250 injected\r\n")
    write("tls_handshake", "server_empty_records", b"s" + record(usual) + record(b"", kind=20) * 40)
    long_record = b"L" + struct.pack(">H", 16384) + b"x"
    records = {
        "data": b"\0D\5helloD\0D\6world!", "data_tls12": b"\1D\5helloD\0D\6world!",
        "long": b"\0" + long_record + b"D\1a",
        "too_long": b"\0L\x42\0xD\1a", "too_long_tls12": b"\1L\x42\0xD\1a", "key_update": b"\0D\1aU\0D\1b",
        "close_notify": b"\0D\1aA\2\1\0D\1b",
        "fatal": b"\0A\2\2\x28", "empty": b"\0" + b"D\0" * 40, "key_updates": b"\0" + b"U\0" * 40,
        "raw": b"\0R\5EHLO ", "tampered": b"\0S\5hello\0\7\1",
        "hello_inside": b"\0H\4\1\0\0\0", "renegotiate": b"\1H\x2a\1\0\0\x26\3\3" + bytes(36),
        "ccs": b"\0\x14\1\1", "kind_0": b"\0\0\1a",
        "user_cancelled": b"\0A\2\1\x5aD\1b", "ticket": b"\0H\6\4\0\0\2ab",
        "half_message": b"\0H\2\x18\0D\1a", "key_update_asked": b"\0H\5\x18\0\0\1\1D\1a",
    }
    for name, octets in records.items():
        write("tls_records", name, octets)


def certificates():
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509 import ocsp
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime(2026, 11, 1)
    key = ec.generate_private_key(ec.SECP256R1())

    def name(*parts):
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])

    ca_name = name((NameOID.ORGANIZATION_NAME, "Contoso"), (NameOID.COMMON_NAME, "Contoso Root"))

    def make(subject, extensions, signer=key, issuer=ca_name):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
                   .public_key(signer.public_key()).serial_number(0x1234)
                   .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=365)))
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    leaf_name = name((NameOID.COUNTRY_NAME, "US"), (NameOID.COMMON_NAME, "mail.contoso.example"))
    names = x509.SubjectAlternativeName([x509.DNSName("mail.contoso.example"),
                                         x509.DNSName("*.contoso.example"),
                                         x509.RFC822Name("a@b.example")])
    constraints = x509.NameConstraints([x509.DNSName("contoso.example")],
                                       [x509.DNSName("bad.contoso.example"), x509.DirectoryName(leaf_name)])
    odd = name((NameOID.COMMON_NAME, 'a,"b"\\;<x>=#'), (NameOID.COMMON_NAME, "second"),
               (NameOID.EMAIL_ADDRESS, "a@b"))
    odd_names = x509.SubjectAlternativeName([x509.DNSName("x"), x509.DirectoryName(odd)])
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
    basic = x509.BasicConstraints(True, 1)
    files = {
        "leaf.der": lambda: make(leaf_name, [(names, False), (client, False), (usage, True)]),
        "ca.der": lambda: make(ca_name, [(basic, True), (usage, True), (constraints, True)]),
        "no_extensions.der": lambda: make(leaf_name, []),
        "odd_name.der": lambda: make(odd, [(odd_names, True)]),
        "rsa.der": lambda: make(leaf_name, [(names, False)], signer=rsa.generate_private_key(65537, 2048)),
        "unknown_critical.der": lambda: make(leaf_name, [(unknown, True)]),
    }
    for file, make_it in files.items():
        if not (CORPUS / "x509" / file).exists():
            write("x509", file, make_it())
    write("x509", "empty_sequence", b"\x30\x00")
    write("x509", "name.der", ca_name.public_bytes())
    write("x509", "constraints.der", bytes.fromhex("a0133011820f") + b"contoso.example")
    write("x509", "dns_name", b"*.contoso.example")
    write("x509", "long_length", b"\x30\x84\xff\xff\xff\xff\x00")

    def crl(serials, next_update=True, critical=False, place=None):
        builder = x509.CertificateRevocationListBuilder().issuer_name(ca_name).last_update(now)
        builder = builder.next_update(now + datetime.timedelta(days=30 if next_update else 1))
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            if critical:
                revoked = revoked.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), False)
            builder = builder.add_revoked_certificate(revoked.build())
        if critical:
            builder = builder.add_extension(x509.CRLNumber(7), False)
        if place:
            builder = builder.add_extension(x509.IssuingDistributionPoint(
                full_name=[x509.UniformResourceIdentifier(place)], relative_name=None, only_contains_user_certs=True,
                only_contains_ca_certs=False, only_some_reasons=None, indirect_crl=False,
                only_contains_attribute_certs=False), critical=True)
        return builder.sign(key, hashes.SHA256())

    lists = {"empty.der": lambda: crl([]), "three.der": lambda: crl([0x1234, 1, 1 << 150]),
             "reasons.der": lambda: crl([5, 4, 3], critical=True),
             "place.der": lambda: crl([5], place="http://ca.example/crl")}
    for file, make_it in lists.items():
        if not (CORPUS / "crl" / file).exists():
            write("crl", file, make_it().public_bytes(serialization.Encoding.DER))
    if not (CORPUS / "crl" / "two.pem").exists():
        write("crl", "two.pem", b"".join(crl([n]).public_bytes(serialization.Encoding.PEM) for n in (1, 2)))
    def signed(subject, signer, issuer, serial, purposes=()):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).serial_number(serial)
                   .public_key(signer.public_key()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=3650)))
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        return builder.sign(issuer, hashes.SHA256())

    def response(status=ocsp.OCSPCertStatus.GOOD, algorithm=hashes.SHA1(), begin=now, end=datetime.timedelta(days=3650),
                 delegated=False, by_name=False, serial=0x1234):
        """With the certificates in front. What it says counts at the targets' time, which is in January 2027."""
        key, signer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = signed(ca_name, key, key, 1)
        leaf = signed(leaf_name, signer_key, key, serial)
        signer = signed(name((NameOID.COMMON_NAME, "OCSP")), signer_key, key, 3, [ExtendedKeyUsageOID.OCSP_SIGNING])
        revoked = status == ocsp.OCSPCertStatus.REVOKED
        who = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
        builder = (ocsp.OCSPResponseBuilder()
                   .add_response(leaf, authority, algorithm, status, begin, end and begin + end, begin if revoked else None, None)
                   .responder_id(who, signer if delegated else authority))
        if delegated:
            builder = builder.certificates([signer])
        made = builder.sign(signer_key if delegated else key, hashes.SHA256())
        return b"".join(part.public_bytes(serialization.Encoding.DER) for part in (leaf, authority, made))

    responses = {"good": lambda: response(), "sha256": lambda: response(algorithm=hashes.SHA256(), by_name=True),
                 "revoked": lambda: response(ocsp.OCSPCertStatus.REVOKED), "unknown": lambda: response(ocsp.OCSPCertStatus.UNKNOWN),
                 "delegated": lambda: response(delegated=True), "delegated_revoked":
                     lambda: response(ocsp.OCSPCertStatus.REVOKED, delegated=True, by_name=True, serial=1 << 150),
                 "endless": lambda: response(begin=datetime.datetime(2027, 1, 14), end=None)}
    for file, make_it in responses.items():
        if not (CORPUS / "ocsp" / file).exists():
            write("ocsp", file, make_it())
    write("ocsp", "try_later", bytes.fromhex("30030a0103"))

    write("crl", "broken.pem", b"-----BEGIN X509 CRL-----\n!!!!\n-----END X509 CRL-----\n")
    write("crl", "not_a_list", b"hello\n")


if __name__ == "__main__":
    for make in (proxy, log_line, client_dialogue, client_hello, certificates):
        make()
    for folder in sorted(CORPUS.iterdir()):
        files = list(folder.iterdir())
        assert len(files) < 60, folder
        print(folder.name, len(files))
