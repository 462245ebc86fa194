# SPDX-License-Identifier: GPL-3.0-or-later
"""The password check behind Postfix's SASL: speaks Dovecot's authentication protocol 1.2, knows one user
and remembers what it was asked."""

import base64
import socket
import threading

USER, PASSWORD = "alice", "correct horse"


class DovecotAuth:
    def __init__(self):
        self.asked = []  # (mechanism, user, accepted)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n"
                         b"SPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
            stream.flush()
            steps = {}
            for line in stream:
                word, *fields = line.decode().rstrip("\n").split("\t")
                if word == "AUTH":
                    number, mechanism = fields[:2]
                    response = next((field[5:] for field in fields if field.startswith("resp=")), None)
                    steps[number] = [mechanism]
                    stream.write(self._step(number, steps, response))
                elif word == "CONT":
                    stream.write(self._step(fields[0], steps, fields[1]))
                stream.flush()

    def _step(self, number, steps, response):
        answers = steps[number]
        if response is not None:
            answers.append(base64.b64decode(response).decode("utf-8", "replace"))
        mechanism, given = answers[0], answers[1:]
        if mechanism == "PLAIN":
            if not given:
                return f"CONT\t{number}\t\n".encode()
            _, user, password = given[0].split("\0")
        else:
            if len(given) < 2:
                prompt = base64.b64encode((b"Username:", b"Password:")[len(given)]).decode()
                return f"CONT\t{number}\t{prompt}\n".encode()
            user, password = given
        accepted = (user, password) == (USER, PASSWORD)
        self.asked.append((mechanism, user, accepted))
        return f"OK\t{number}\tuser={user}\n".encode() if accepted else f"FAIL\t{number}\tuser={user}\n".encode()
