# SPDX-License-Identifier: GPL-3.0-or-later
"""aiosmtpd_application.py PORT [FILE]: relays for 127.0.0.1; says what it accepted, and keeps nothing. FILE has another
make_server()."""

import asyncio
import pathlib
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def client(self, session):
        return str(session.proxy_data.src_addr) if session.proxy_data else session.peer[0]

    async def handle_RCPT(self, _server, session, envelope, address, _options):
        if not address.endswith("@example.test") and self.client(session) != "127.0.0.1":
            return "554 5.7.1 Relay access denied"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server, session, envelope):
        for recipient in envelope.rcpt_tos:
            print("accepted", envelope.mail_from, recipient, self.client(session), flush=True)
        return "250 2.0.0 Ok"


def authenticate(_server, _session, _envelope, _mechanism, given):
    known = (given.login, given.password) == (b"alice", b"correct-horse")
    return AuthResult(success=known, handled=False)


def make_server():
    return SMTP(Handler())


async def main():
    server = await asyncio.get_running_loop().create_server(make_server, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

for file in sys.argv[2:]:
    exec(pathlib.Path(file).read_text(encoding="utf-8"))  # pylint: disable=exec-used
asyncio.run(main())
