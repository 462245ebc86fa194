# SPDX-License-Identifier: GPL-3.0-or-later
"""A name server for the clients that ask no other: it knows where mail for example.test goes, and nothing else."""

import socket
import struct
import threading

A, MX = 1, 15
ADDRESS = socket.inet_aton("127.0.0.1")


def labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


MAIL_SERVER = labels("mx.example.test")
RECORDS = {
    (b"mx.example.test", A): ADDRESS,
    (b"client.example.test", A): ADDRESS,
    (b"example.test", MX): struct.pack("!H", 10) + MAIL_SERVER,
}


def answer(query):
    """The reply to one question, or None to what is none."""
    name, at = [], 12
    while at < len(query) and query[at]:
        name.append(query[at + 1:at + 1 + query[at]])
        at += 1 + query[at]
    question = query[12:at + 5]
    if len(question) < 6:
        return None
    name, kind = b".".join(name).lower(), struct.unpack("!H", question[-4:-2])[0]
    record = RECORDS.get((name, kind))
    known = any(other == name for other, _ in RECORDS)
    reply = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, 1 if record else 0, 0, 0) + question
    if record:
        reply += struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(record)) + record
    return reply


def serve():
    """On port 53 of this network, until the run ends."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def run():
        while True:
            query, client = server.recvfrom(4096)
            reply = answer(query)
            if reply:
                server.sendto(reply, client)
    threading.Thread(target=run, daemon=True).start()
