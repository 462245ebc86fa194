# SPDX-License-Identifier: GPL-3.0-or-later
"""aiosmtpd_application.py PORT [handle_PROXY]: relays for 127.0.0.1; says what it accepted, and keeps nothing."""

import asyncio
import sys

from aiosmtpd.smtp import SMTP


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


class ProxyHandler(Handler):
    async def handle_PROXY(self, _server, _session, _envelope, _data):
        return True


async def main():
    proxied = "handle_PROXY" in sys.argv
    make = (lambda: SMTP(ProxyHandler(), proxy_protocol_timeout=2.0)) if proxied else (lambda: SMTP(Handler()))
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
