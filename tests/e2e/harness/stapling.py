# SPDX-License-Identifier: GPL-3.0-or-later
"""A partner's server of OpenSSL's, with TLS from the start, that staples whatever it is given. For one connection."""

import subprocess
import threading

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from harness.case import eventually
from harness.pki import DAY, NOW, pem
from harness.process import free_port

GREETING = b"220 mx.partner.example ESMTP\r\n"
REPLIES = {b"EHLO": b"250-mx.partner.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 30000000\r\n",
           b"MAIL": b"250 2.1.0 Ok\r\n", b"RCPT": b"250 2.1.5 Ok\r\n", b"DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
           b"RSET": b"250 2.0.0 Ok\r\n", b"NOOP": b"250 2.0.0 Ok\r\n", b"QUIT": b"221 2.0.0 Bye\r\n"}


def ocsp_response(identity, issuer, *, status=ocsp.OCSPCertStatus.GOOD, begin=-DAY, end=DAY, signer=None, responder=None):
    """DER. `signer`: an identity that signs instead of `issuer`, an Authority; its certificate is sent along."""
    revoked = status == ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=identity.certificate, issuer=issuer.certificate, algorithm=hashes.SHA1(), cert_status=status,
        this_update=NOW + begin, next_update=None if end is None else NOW + end,
        revocation_time=NOW - DAY if revoked else None, revocation_reason=None)
    certificate, key = (signer.certificate, signer.key) if signer else (issuer.certificate, issuer.key)
    builder = builder.responder_id(responder or ocsp.OCSPResponderEncoding.HASH, certificate)
    if signer:
        builder = builder.certificates([certificate])
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def is_listened_on(port):
    """Without a connection, which would be the only one."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in list(table)[1:])


class StaplingServer:
    """`response`: DER; None: it staples nothing. `version`: "tls1_2" or "tls1_3"."""

    def __init__(self, folder, name, identity, version, response):
        self.port = free_port()
        self.commands = []
        self.messages = 0
        words = ["openssl", "s_server", "-4", "-accept", f"127.0.0.1:{self.port}", "-naccept", "1", "-quiet", f"-{version}",
                 "-cert", identity.cert_path, "-key", identity.key_path]
        if identity.chain:
            path = folder / f"{name}.chain"
            path.write_bytes(b"".join(pem(certificate) for certificate in identity.chain))
            words += ["-cert_chain", path]
        if response is not None:
            path = folder / f"{name}.ocsp"
            path.write_bytes(response)
            words += ["-status_file", path]
        self._log = open(folder / f"{name}.log", "wb")
        self._process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)
        eventually(lambda: self._process.poll() is not None or is_listened_on(self.port), "openssl s_server listens")
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _say(self, octets):
        self._process.stdin.write(octets)
        self._process.stdin.flush()

    def _serve(self):
        try:
            self._say(GREETING)
            in_content = False
            for line in self._process.stdout:
                if in_content:
                    in_content = line != b".\r\n"
                    if not in_content:
                        self.messages += 1
                        self._say(b"250 2.0.0 Ok: stored\r\n")
                    continue
                self.commands.append(line)
                verb = line[:4].upper()
                in_content = verb == b"DATA"
                self._say(REPLIES.get(verb, b"500 5.5.2 what?\r\n"))
        except (OSError, ValueError):
            pass  # it has ended
