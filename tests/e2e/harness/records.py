# SPDX-License-Identifier: GPL-3.0-or-later
"""A TLS client that puts whatever a case wants into records, for what honest libraries refuse to send.

Stands where an ssl.SSLContext stands: Client(address, implicit=Records("1.3")), client.starttls(Records("1.2")).
One suite (AES-128-GCM with SHA-256), X25519 and P-256; nothing of the server is verified. After the handshake
client.tls.seal(type, content) makes one record, client.tls.key_update() one that changes the keys.
"""

import contextlib
import hashlib
import hmac
import os
import ssl
import struct

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, CONTENT = 20, 21, 22, 23
_HEADER = struct.Struct("!BHH")
_SEQUENCE = struct.Struct("!Q")


def vector(body, size=2):
    return len(body).to_bytes(size, "big") + body


def extension(kind, body):
    return struct.pack("!H", kind) + vector(body)


def record(kind, body, version=0x0303):
    return _HEADER.pack(kind, version, len(body)) + body


def message(kind, body):
    """A handshake message."""
    return bytes([kind]) + vector(body, 3)


def in_records(octets, size, kind=HANDSHAKE):
    """`octets` in clear records of `size` octets."""
    return b"".join(record(kind, octets[begin:begin + size], 0x0301) for begin in range(0, len(octets), size))


def expand(secret, label, length, context=b""):  # RFC 8446 7.1
    info = struct.pack("!H", length) + vector(b"tls13 " + label, 1) + vector(context, 1) + b"\1"
    return hmac.digest(secret, info, "sha256")[:length]


def digest(octets):
    return hashlib.sha256(octets).digest()


class Keys13:
    """One direction. RFC 8446 5.3."""

    def __init__(self, secret):
        self.secret = secret
        self.cipher = AESGCM(expand(secret, b"key", 16))
        self.nonce = int.from_bytes(expand(secret, b"iv", 12), "big")
        self.sequence = 0

    def _next(self):
        nonce = (self.nonce ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return nonce

    def seal(self, kind, content):
        header = _HEADER.pack(CONTENT, 0x0303, len(content) + 17)
        return header + self.cipher.encrypt(self._next(), content + bytes([kind]), header)

    def open(self, header, body):
        text = self.cipher.decrypt(self._next(), body, header).rstrip(b"\0")
        return text[-1], text[:-1]

    def update(self):
        self.__init__(expand(self.secret, b"traffic upd", 32))


class Keys12:
    """One direction. RFC 5288."""

    def __init__(self, key, salt):
        self.cipher, self.salt, self.sequence = AESGCM(key), salt, 0

    def _bound(self, kind, length):
        return _SEQUENCE.pack(self.sequence) + _HEADER.pack(kind, 0x0303, length)

    def seal(self, kind, content):
        explicit = _SEQUENCE.pack(self.sequence)
        sealed = self.cipher.encrypt(self.salt + explicit, content, self._bound(kind, len(content)))
        self.sequence += 1
        return record(kind, explicit + sealed)

    def open(self, header, body):
        text = self.cipher.decrypt(self.salt + body[:8], body[8:], self._bound(header[0], len(body) - 24))
        self.sequence += 1
        return header[0], text


class Records:
    """`offered` is what the hello says besides: octets of further extensions."""

    def __init__(self, version="1.3", offered=b""):
        self.version, self.offered = version, offered

    def wrap_bio(self, incoming, outgoing, server_hostname=None, session=None):
        engine = Engine13 if self.version == "1.3" else Engine12
        return engine(incoming, outgoing, server_hostname or "mx.example.test", self.offered)

    def begin(self, client):
        """Sends the hello over a Client's connection. Returns the engine."""
        engine = self.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
        engine.step()
        client.send_clear(engine.outgoing())
        return engine

    def hold(self, client):
        """As begin(), and goes on until the server has sent all of its flight; the client's Finished is
        withheld, and what the engine seals has the keys that it would have."""
        engine = self.begin(client)
        engine.withholding = True
        while not engine.held:
            octets = client.socket.recv(65536)
            assert octets, "the connection ended in the TLS handshake"
            engine.receive(octets)
            engine.step()
        return engine


def hello():
    """A ClientHello that would be answered."""
    engine = Records().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    engine.step()
    return engine.outgoing()


class Engine:
    """What is common to both versions; the same calls as ssl.SSLObject has."""

    def __init__(self, incoming, outgoing, name, offered):
        self._incoming, self._outgoing, self._buffer = incoming, outgoing, b""
        self._transcript = b""
        self._messages = b""
        self._reading = self._writing = None
        self._name, self._offered = name, offered
        self._steps = self._run()
        self.alert = None  # (level, description) that came last
        self.withholding = self.held = False

    def receive(self, octets):
        self._incoming.write(octets)

    def outgoing(self):
        return self._outgoing.read()

    def step(self):
        """What can be done of the handshake."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.do_handshake()

    def _hold(self):
        """Here a handshake stops that is withheld."""
        self.held = True
        while self.withholding:
            yield

    # --- records ---

    def seal(self, kind, content):
        """One record, sealed."""
        return self._writing.seal(kind, content)

    def _record(self):
        """(type, content) of the next record, or None if it has not all come."""
        self._buffer += self._incoming.read()
        if len(self._buffer) < 5:
            return None
        kind, _, length = _HEADER.unpack(self._buffer[:5])
        if len(self._buffer) < 5 + length:
            return None
        header, body = self._buffer[:5], self._buffer[5:5 + length]
        self._buffer = self._buffer[5 + length:]
        if self._reading is None or self._in_clear(kind):
            return kind, body
        return self._reading.open(header, body)

    def _on_alert(self, body):
        self.alert = tuple(body)
        if body[1] == 0:
            raise ssl.SSLZeroReturnError("close_notify")
        raise ssl.SSLError(f"alert {body[1]}")

    # --- handshake ---

    def do_handshake(self):
        try:
            next(self._steps)
        except StopIteration:
            return
        raise ssl.SSLWantReadError

    def _next_message(self):
        """Waits for (type, body) of a handshake message."""
        while len(self._messages) < 4 or len(self._messages) < 4 + int.from_bytes(self._messages[1:4], "big"):
            found = self._record()
            if found is None:
                yield
            elif found[0] == HANDSHAKE:
                self._messages += found[1]
            elif found[0] == ALERT:
                self._on_alert(found[1])
        length = int.from_bytes(self._messages[1:4], "big")
        octets, self._messages = self._messages[:4 + length], self._messages[4 + length:]
        self._transcript += octets
        return octets[0], octets[4:]

    def hello(self, groups, extensions, suites):
        """A ClientHello that offers these; begins the transcript."""
        self._random = os.urandom(32)
        shared = (extension(0, vector(b"\0" + vector(self._name.encode()))) +
                  extension(10, vector(groups)) + extension(13, vector(b"\x04\x03\x08\x04\x04\x01")))
        body = b"\3\3" + self._random + b"\0" + vector(suites) + b"\1\0" + vector(shared + extensions + self._offered)
        self._transcript = message(1, body)
        return self._transcript

    # --- octets ---

    def write(self, octets):
        for begin in range(0, len(octets), 1 << 14):
            self._outgoing.write(self.seal(CONTENT, octets[begin:begin + (1 << 14)]))
        return len(octets)

    def read(self, _size):
        while True:
            found = self._record()
            if found is None:
                raise ssl.SSLWantReadError
            kind, body = found
            if kind == CONTENT and body:
                return body
            if kind == ALERT:
                self._on_alert(body)
            if kind == HANDSHAKE:
                self._after_handshake(body)

    def _after_handshake(self, body):
        pass

    def unwrap(self):
        self._outgoing.write(self.seal(ALERT, b"\1\0"))


class Engine13(Engine):
    def _in_clear(self, kind):
        return kind != CONTENT

    def _run(self):
        private = x25519.X25519PrivateKey.generate()
        share = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        extensions = extension(43, b"\2\3\4") + extension(51, vector(b"\0\x1d" + vector(share)))
        hello = self.hello(b"\0\x1d", extensions, b"\x13\1")
        self._outgoing.write(record(HANDSHAKE, hello, 0x0301))

        kind, body = yield from self._next_message()
        assert kind == 2, f"a ServerHello, not {kind}"
        at = 2 + 32 + 1 + body[34] + 3 + 2
        server_share = None
        while at < len(body):
            number, length = struct.unpack("!HH", body[at:at + 4])
            if number == 51:
                server_share = body[at + 8:at + 4 + length]
            at += 4 + length
        shared = private.exchange(x25519.X25519PublicKey.from_public_bytes(server_share))

        nothing = digest(b"")
        early = hmac.digest(b"\0" * 32, b"\0" * 32, "sha256")
        secret = hmac.digest(expand(early, b"derived", 32, nothing), shared, "sha256")
        so_far = digest(self._transcript)
        self._reading = Keys13(expand(secret, b"s hs traffic", 32, so_far))
        self._writing = Keys13(expand(secret, b"c hs traffic", 32, so_far))
        while True:
            kind, _ = yield from self._next_message()
            if kind == 20:
                break
        yield from self._hold()
        so_far = digest(self._transcript)
        finished = message(20, hmac.digest(expand(self._writing.secret, b"finished", 32), so_far, "sha256"))
        self._outgoing.write(self.seal(HANDSHAKE, finished))
        master = hmac.digest(expand(secret, b"derived", 32, nothing), b"\0" * 32, "sha256")
        self._reading = Keys13(expand(master, b"s ap traffic", 32, so_far))
        self._writing = Keys13(expand(master, b"c ap traffic", 32, so_far))

    def key_update(self, request=False):
        """One KeyUpdate in its record; what is sealed after it has the new keys. RFC 8446 4.6.3."""
        sealed = self.seal(HANDSHAKE, message(24, b"\1" if request else b"\0"))
        self._writing.update()
        return sealed

    def _after_handshake(self, body):
        while body:
            length = int.from_bytes(body[1:4], "big")
            if body[0] == 24:
                self._reading.update()
            body = body[4 + length:]


class Engine12(Engine):
    def _in_clear(self, kind):
        return False

    def _prf(self, secret, label, seed, length):  # RFC 5246 5
        seed, result = label + seed, b""
        chain = seed
        while len(result) < length:
            chain = hmac.digest(secret, chain, "sha256")
            result += hmac.digest(secret, chain + seed, "sha256")
        return result[:length]

    def _run(self):
        extensions = extension(11, b"\1\0") + extension(23, b"") + extension(65281, b"\0")
        hello = self.hello(b"\0\x1d\0\x17", extensions, b"\xc0\x2b\xc0\x2f")
        self._outgoing.write(record(HANDSHAKE, hello, 0x0301))
        while True:
            kind, body = yield from self._next_message()
            if kind == 2:
                server_random = body[2:34]
            elif kind == 12:
                group, point = body[1:3], body[4:4 + body[3]]
            elif kind == 14:
                break
        yield from self._hold()
        if group == b"\0\x1d":
            private = x25519.X25519PrivateKey.generate()
            share = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            shared = private.exchange(x25519.X25519PublicKey.from_public_bytes(point))
        else:
            private = ec.generate_private_key(ec.SECP256R1())
            share = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        exchange = message(16, vector(share, 1))
        self._transcript += exchange
        master = self._prf(shared, b"extended master secret", digest(self._transcript), 48)  # RFC 7627
        block = self._prf(master, b"key expansion", server_random + self._random, 40)
        finished = message(20, self._prf(master, b"client finished", digest(self._transcript), 12))
        self._transcript += finished
        self._writing = Keys12(block[:16], block[32:36])
        self._outgoing.write(record(HANDSHAKE, exchange) + record(CHANGE_CIPHER_SPEC, b"\1") +
                             self.seal(HANDSHAKE, finished))
        while True:
            found = self._record()
            if found is None:
                yield
            elif found[0] == ALERT:
                self._on_alert(found[1])
            elif found[0] == CHANGE_CIPHER_SPEC:
                break
        self._reading = Keys12(block[16:32], block[36:40])
        yield from self._next_message()
