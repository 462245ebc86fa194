#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A partner's server with STARTTLS, by OpenSSL: it takes mail, discards it, and prints a line for each TLS session.

    bench/openssl_partner.py PORT CERTIFICATE KEY TICKETS

It is slow, but nobody measures it. What ringpost itself cannot be told as a server, this can: which groups and suites there
are (by OPENSSL_CONF) and whether it gives session tickets.
"""

import socket
import ssl
import sys
import threading

THREADS = 96  # more than any load has connections
KEYWORDS = b"250-partner.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
EHLO = {True: KEYWORDS + b"250 SIZE 50000000\r\n", False: KEYWORDS + b"250-SIZE 50000000\r\n250 STARTTLS\r\n"}
REPLIES = {b"MAIL": b"250 2.1.0 Ok\r\n", b"RCPT": b"250 2.1.5 Ok\r\n", b"RSET": b"250 2.0.0 Ok\r\n", b"NOOP": b"250 2.0.0 Ok\r\n",
           b"HELO": b"250 partner.example.test\r\n"}
END = b"\r\n.\r\n"


class Session:
    def __init__(self, connection, context):
        self.connection, self.context = connection, context
        self.tls, self.received = False, b""

    def line(self):
        while b"\n" not in self.received:
            self.received += self.more()
        line, self.received = self.received.split(b"\n", 1)
        return line

    def more(self):
        octets = self.connection.recv(65536)
        if not octets:
            raise ConnectionError
        return octets

    def content(self):
        """Up to the lone dot; what comes behind it stays."""
        text = b"\r\n" + self.received
        while END not in text:
            text = text[-len(END):] + self.more()
        self.received = text.split(END, 1)[1]

    def handshake(self):
        self.received = b""
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.tls = True
        print(f"session tls={self.connection.version()} suite={self.connection.cipher()[0]} "
              f"resumed={'yes' if self.connection.session_reused else 'no'}", flush=True)

    def serve(self):
        self.connection.sendall(b"220 partner.example.test ESMTP\r\n")
        while True:
            verb = self.line()[:4].upper()
            if verb == b"EHLO":
                self.connection.sendall(EHLO[self.tls])
            elif verb == b"STAR" and not self.tls:
                self.connection.sendall(b"220 2.0.0 Ready to start TLS\r\n")
                self.handshake()
            elif verb == b"DATA":
                self.connection.sendall(b"354 End data with <CR><LF>.<CR><LF>\r\n")
                self.content()
                self.connection.sendall(b"250 2.0.0 Ok: discarded\r\n")
            elif verb == b"QUIT":
                self.connection.sendall(b"221 2.0.0 Bye\r\n")
                return
            else:
                self.connection.sendall(REPLIES.get(verb, b"502 5.5.1 Not implemented\r\n"))


def farewell(session):
    """close_notify, without which OpenSSL would not resume the session, and no wait for that of the client."""
    session.connection.settimeout(0)
    if session.tls:
        session.connection.unwrap()


def accept(listener, context):
    while True:
        connection = listener.accept()[0]
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(connection, context)
        try:
            session.serve()
            farewell(session)
        except OSError:  # ssl's errors are such, too
            pass
        finally:
            session.connection.close()


def main():
    port, certificate, key, tickets = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if tickets == "off":
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    threads = [threading.Thread(target=accept, args=(listener, context)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
