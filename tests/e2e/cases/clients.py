# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that people use, against ringpost in front of a real Postfix."""

import ctypes
import re
import shutil
import smtplib
import socket
import subprocess
import threading

from harness.case import Failure, Skip, case, check, contains, each, equal, eventually
from harness.dovecot_auth import PASSWORD, USER
from harness.postfix import split_stored
from harness.process import run
from harness.smtp import mail


def program(name):
    found = shutil.which(name)
    if not found:
        raise Skip(f"{name} is not installed")
    return found


@each("starttls", "wrapper")
def postfix_smtp_client(world, kind):
    # The certificate is verified, so that delivery also shows chain and name.
    identifier, content = mail()
    content = content.replace(b"bob@example.test", f"bob@{kind}.test".encode())
    sender = world.sender
    with smtplib.SMTP("127.0.0.1", sender.port, "client.example.test") as direct:
        direct.sendmail("alice@client.example.test", [f"bob@{kind}.test"], content)
    port = world.proxy().port if kind == "starttls" else world.proxy().implicit_port
    eventually(lambda: f"to=<bob@{kind}.test>" in sender.log and f"]:{port}, delay" in sender.log,
               "Postfix's delivery report", 40)
    contains(sender.log, f"Verified TLS connection established to 127.0.0.1[127.0.0.1]:{port}: TLSv1.3", "Postfix's log")
    stored = world.mx.stored(identifier)
    contains(split_stored(stored)[0], b"from sender.example.test (unknown [127.0.0.1])", "Received field")


@each("starttls", "wrapper")
def posttls_finger(world, kind):
    proxy = world.proxy()
    words = [program("posttls-finger"), "-c", "-l", "secure", "-F", world.certs / "ca.pem", "-t", "20"]
    if kind == "wrapper":
        words += ["-w", f"[127.0.0.1]:{proxy.implicit_port}", "mx.example.test"]
    else:
        words += [f"[127.0.0.1]:{proxy.port}", "mx.example.test"]
    # Where Postfix was installed without configuration, it needs somebody's.
    code, output, errors = run(words, environment={"MAIL_CONFIG": str(world.mx.folder / "etc")})
    contains(output + errors, "Verified TLS connection established", "posttls-finger")
    contains(output + errors, "TLSv1.3 with cipher TLS_AES_", "posttls-finger")
    equal(code, 0, "its exit code")


def gnutls_alert(address, priority, starttls, level, alert):
    """GnuTLS's handshake, without a look at the certificate, then this alert and FIN. Returns the own address."""
    try:
        gnutls = ctypes.CDLL("libgnutls.so.30")
    except OSError as error:
        raise Skip("GnuTLS is not installed") from error
    gnutls.gnutls_global_init()
    with socket.create_connection(address, 10) as connection:
        if starttls:
            for command in (None, b"EHLO client.example.test\r\n", b"STARTTLS\r\n"):
                connection.sendall(command or b"")
                said = b""
                while not re.search(rb"^\d\d\d .*\r\n\Z", said, re.M):
                    said += connection.recv(4096)
        session, credentials = ctypes.c_void_p(), ctypes.c_void_p()
        gnutls.gnutls_init(ctypes.byref(session), 2)  # GNUTLS_CLIENT
        gnutls.gnutls_certificate_allocate_credentials(ctypes.byref(credentials))
        gnutls.gnutls_credentials_set(session, 1, credentials)  # GNUTLS_CRD_CERTIFICATE
        equal(gnutls.gnutls_priority_set_direct(session, priority.encode(), None), 0, "GnuTLS's priorities")
        connection.settimeout(None)  # GnuTLS has no patience with a socket that does not block
        gnutls.gnutls_transport_set_int2(session, connection.fileno(), connection.fileno())
        equal(gnutls.gnutls_handshake(session), 0, "GnuTLS's handshake")
        equal(gnutls.gnutls_alert_send(session, level, alert), 0, "GnuTLS's alert")
        here = connection.getsockname()[:2]
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    gnutls.gnutls_deinit(session)
    return here


@each(*((version, port, level) for version in ("1.2", "1.3") for port in ("starttls", "implicit") for level in ("warning", "fatal")))
def an_alert_behind_the_handshake_is_the_reason(world, variant):
    """GnuTLS's clients look at the certificate when the handshake is over."""
    version, port, level = variant
    proxy = world.proxy()
    here = gnutls_alert(proxy.address if port == "starttls" else proxy.implicit_address,
                        f"NORMAL:-VERS-ALL:+VERS-TLS{version}", port == "starttls", 1 if level == "warning" else 2, 42)
    line = proxy.record(here)
    equal((line["reason"], line["detail"]), ("tls_handshake", "received alert bad_certificate"), "reason and detail")


@each("--tls", "--tls-on-connect")
def swaks(world, option):
    identifier, _ = mail()
    proxy = world.proxy()
    port = proxy.port if option == "--tls" else proxy.implicit_port
    code, output, errors = run([
        # By name: from version 20240103 on swaks looks for the server's in the certificate.
        program("swaks"), "-4", "--server", "localhost", "--port", port, option, "--tls-ca-path", world.certs / "ca.pem",
        "--tls-verify", "--tls-sni", "mx.example.test", "--from", "alice@client.example.test",
        "--to", "bob@example.test", "--helo", "client.example.test", "--timeout", "20",
        "--header", f"Message-ID: <{identifier}@swaks>", "--auth", "PLAIN", "--auth-user", USER,
        "--auth-password", PASSWORD, "--data", "From: <alice@client.example.test>\n%NEW_HEADERS%\n\nswaks\n"])
    equal(code, 0, f"swaks: {output}{errors}")
    contains(output, "TLS started with cipher TLSv1.3:", "swaks")
    contains(world.mx.stored(identifier), b"swaks", "stored message")


@each("starttls", "implicit")
def python_smtplib(world, kind):
    identifier, content = mail()
    proxy = world.proxy()
    if kind == "starttls":
        server = smtplib.SMTP("localhost", proxy.port, "client.example.test", timeout=20)
        server.starttls(context=world.tls)
    else:
        server = smtplib.SMTP_SSL("localhost", proxy.implicit_port, "client.example.test", timeout=20, context=world.tls)
    with server:
        server.login(USER, PASSWORD)
        equal(server.sendmail("alice@client.example.test", ["bob@example.test"], content), {}, "refused recipients")
    equal(split_stored(world.mx.stored(identifier))[1], content.replace(b"\r\n", b"\n"), "stored message")


class OpenSsl:
    """`openssl s_client` as a person uses it: typed lines, read answers."""

    def __init__(self, world, words):
        self.process = subprocess.Popen(
            [program("openssl"), "s_client", "-servername", "mx.example.test", "-CAfile", world.certs / "ca.pem",
             "-verify_return_error", "-verify_hostname", "mx.example.test", "-brief", "-ign_eof", "-nocommands",
             *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.errors = b""
        self.reader = threading.Thread(target=self._read_errors)
        self.reader.start()
        self.timer = threading.Timer(30, self.process.kill)  # a bound, not a wait
        self.timer.start()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors += line

    def expect(self, text, code):
        if text:
            try:
                self.process.stdin.write(text + b"\r\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                pass
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise Failure(f"openssl ended: {self.errors.decode()}")
            if re.match(rb"\d{3} ", line):
                equal(line[:3], code, f"answer to {text}: {line}")
                return

    def close(self):
        self.timer.cancel()
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.errors.decode()


def openssl_message(world, port, words):
    identifier, content = mail()
    implicit = port == "implicit"
    proxy = world.proxy()
    client = OpenSsl(world, ["-connect", f"127.0.0.1:{proxy.implicit_port if implicit else proxy.port}",
                             *([] if implicit else ["-starttls", "smtp"]), *words])
    try:
        if implicit:
            client.expect(b"", b"220")
        client.expect(b"EHLO client.example.test", b"250")
        client.expect(b"MAIL FROM:<alice@client.example.test>", b"250")
        client.expect(b"RCPT TO:<bob@example.test>", b"250")
        client.expect(b"DATA", b"354")
        client.expect(content + b".", b"250")
        client.expect(b"QUIT", b"221")
    finally:
        said = client.close()
    world.mx.stored(identifier)
    return said


@each(("starttls", "TLSv1.3", "X25519", "TLS_AES_128_GCM_SHA256"),
      ("starttls", "TLSv1.3", "P-256", "TLS_AES_256_GCM_SHA384"),
      ("starttls", "TLSv1.3", "P-384", "TLS_CHACHA20_POLY1305_SHA256"),
      ("implicit", "TLSv1.3", "X25519", "TLS_AES_256_GCM_SHA384"),
      ("starttls", "TLSv1.2", "X25519", "ECDHE-ECDSA-AES128-GCM-SHA256"),
      ("starttls", "TLSv1.2", "P-256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
      ("implicit", "TLSv1.2", "P-384", "ECDHE-RSA-AES256-GCM-SHA384"),
      ("starttls", "TLSv1.2", "P-256", "ECDHE-RSA-CHACHA20-POLY1305"),
      ("starttls", "TLSv1.3", "X25519MLKEM768", "TLS_AES_128_GCM_SHA256"),
      ("implicit", "TLSv1.3", "X25519MLKEM768", "TLS_AES_256_GCM_SHA384"))
def openssl_s_client(world, variant):  # PROTOCOL 23, 24
    port, version, group, suite = variant
    if "MLKEM" in group and group not in run([program("openssl"), "list", "-kem-algorithms"])[1]:
        raise Skip("this OpenSSL is from before 3.5")
    words = ["-tls1_3", "-ciphersuites", suite] if version == "TLSv1.3" else ["-tls1_2", "-cipher", suite]
    # Up to TLS 1.2 the groups also limit the curve of an ECDSA certificate (RFC 8422 5.1).
    groups = f"{group}:P-256" if "ECDSA" in suite and group != "P-256" else group
    said = openssl_message(world, port, [*words, "-groups", groups])
    contains(said, f"Protocol version: {version}", "s_client")
    contains(said, f"Ciphersuite: {suite}", "s_client")
    contains(said, "Verification: OK", "s_client")
    wanted = {"P-256": "prime256v1", "P-384": "secp384r1"}.get(group, group)
    check(wanted in said or group in said, f"{group} in {said}")


@each(("-tls1_2", "RSA+SHA256"), ("-tls1_3", "RSA-PSS+SHA256"), ("-tls1_2", "ECDSA+SHA256"),
      ("-tls1_2", "ECDSA+SHA384"), ("-tls1_2", "ECDSA+SHA512"), ("-tls1_3", "ECDSA+SHA256"))
def the_certificate_fits_the_client(world, variant):
    version, algorithm = variant
    said = openssl_message(world, "starttls", [version, "-sigalgs", algorithm])
    # "ECDSA" or "RSA-PSS", from OpenSSL 3.5 on "ecdsa_secp256r1_sha256" or "rsa_pss_rsae_sha256".
    signature = re.search(r"^Signature type: (\w+?)(?:[_-].*)?$", said, re.M)
    equal(signature and signature[1].upper(), algorithm.split("+")[0].split("-")[0], f"signature type in {said}")
