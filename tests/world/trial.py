# SPDX-License-Identifier: GPL-3.0-or-later
"""One client, one way: sends its messages, and what was stored and logged is judged."""

import email.policy
import re

import names
from client import SERVERS
from harness.case import Failure, check, equal, eventually
from harness.process import run
from harness.ringpost import Ringpost, Sink
from harness.servers.sandbox import Sandbox
from message import RECIPIENT, SENDER, Message, compare

HOST, PORTS = "mx.example.test", {"starttls": 25, "implicit": 465}
# The machine's own settings of mail programs do not count.
APART = """
for part in /root /home; do [ ! -d $part ] || mount -t tmpfs tmpfs $part; done
mkdir -p /run/home
export HOME=/run/home LC_ALL=C.UTF-8
cd /run/home
"""
SETTINGS = """
export way={way} host={host} port={port} from={sender} to={recipient} ca=/etc/ssl/certs/ca-certificates.crt
"""
ONE = """
export message='{message}' message_crlf='{message_crlf}' body='{body}' subject='{subject}'
bash -euo pipefail /etc/world/send
echo 'sent {number}'
"""


def start_client(client, way, port, messages, authority, folder, one=ONE, prefix=()):
    """The client in mounts of its own, with these messages to send. `authority` is the file of the only one that it
    trusts, `one` what is run for each message or, if the client takes them at once, for all; `prefix` what stands in front of the command."""
    _, output, _ = run(["openssl", "x509", "-hash", "-noout", "-in", authority])
    certificate = authority.read_text()
    files = {**client.files, "etc/world/send": client.send,
             "etc/ssl/certs/ca-certificates.crt": certificate, f"etc/ssl/certs/{output.strip()}.0": certificate,
             "etc/hosts": f"127.0.0.1 {HOST} mx\n127.0.0.1 localhost client.example.test client\n",
             "etc/mailname": "client.example.test\n"}
    steps = APART + SETTINGS.format(way=way, host=HOST, port=port, sender=SENDER, recipient=RECIPIENT)
    for message in messages:
        base = f"etc/world/message{message.number}"
        files.update({base: message.text, f"{base}.crlf": message.text.replace("\n", "\r\n"),
                      f"etc/world/body{message.number}": message.body})
    steps += client.prepare
    for run_of in [messages] if client.at_once else [[message] for message in messages]:
        numbers = [message.number for message in run_of]
        steps += one.format(
            number=numbers[0], subject=run_of[0].subject, body=" ".join(f"/etc/world/body{number}" for number in numbers),
            message=" ".join(f"/etc/world/message{number}" for number in numbers),
            message_crlf=" ".join(f"/etc/world/message{number}.crlf" for number in numbers))
    return Sandbox(folder.name, client.folder if client.packages else None, [*prefix, "bash", "-euc", steps], folder,
                   users=client.users, files=files, store=client.store,
                   fetcher="tools/fetch-servers" if client.store == SERVERS else "tools/fetch-clients")


class Trial:
    def __init__(self, world):
        self.world = world
        names.serve()
        self.sink = world.keep(Sink(world, "store"))
        self.proxy = world.keep(Ringpost(world, "ringpost", f"127.0.0.1:{self.sink.port}",
                                         listen=f"127.0.0.1:{PORTS['starttls']}",
                                         listen_tls=f"127.0.0.1:{PORTS['implicit']}"))
        self.authority = world.certs / "ca.pem"

    def __call__(self, client, way):
        messages = [Message(client, way, number) for number in (1, 2)]
        before = len(self.proxy.records())
        process = self.start(client, way, messages)
        try:
            code = process.wait(client.seconds)
        except Failure:
            raise Failure(f"it did not end within {client.seconds} s{self.what_came(before)}\n{said(process)}") from None
        finally:
            process.stop()
        check(code == 0, f"it ended with {code}{self.what_came(before)}\n{said(process)}")
        for message in messages:
            try:
                stored = eventually(lambda: self.stored(message.subject), "the message", 5)
            except Failure:
                raise Failure(f"message {message.number} was not stored\n{said(process)}") from None
            try:
                compare(message, stored, client)
            except Failure as fault:
                raise Failure(f"message {message.number}, {fault}") from None
        return self.judge(client, way, before, len(messages))

    def stored(self, subject):
        """The message with this subject, however that is encoded; None if it has not come."""
        for content in reversed(self.sink.contents()):
            header = email.message_from_bytes(content.partition(b"\r\n\r\n")[0], policy=email.policy.default)
            if header["subject"] == subject:
                return content
        return None

    def start(self, client, way, messages):
        return start_client(client, way, PORTS[way], messages, self.authority, self.world.folder / f"{client.name}-{way}")

    def what_came(self, before):
        """The session lines so far, for a report."""
        return "".join("\n" + str({key: record.get(key) for key in ("tls", "messages", "reason", "detail")})
                       for record in self.proxy.records()[before:])

    def judge(self, client, way, before, wanted):
        """What the log says of the sessions that carried mail, in a few words."""
        def sessions():
            found = [record for record in self.proxy.records()[before:] if record["messages"]]
            return found if sum(record["messages"] for record in found) >= wanted else None
        found = eventually(sessions, f"session lines of {wanted} messages")
        equal(sum(record["messages"] for record in found), wanted, "messages in the log")
        for record in found:
            equal(record["tls"], client.tls, "TLS in the log")
            check(record["reason"] in client.reason.split(), f"reason in the log: {record['reason']}, not {client.reason}")
            equal((record["refused"], record["refused_commands"], record["bare_newlines"]), (0, 0, 0),
                  "refused messages, refused commands and bare newlines in the log")
        resumes = way in client.resumes
        equal(found[-1]["resumed"], resumes, "the last message in a resumed TLS session")
        words = [client.tls.replace("TLSv", "TLS ")] + (["resumed"] if resumes else [])
        return ", ".join(words)


def said(process):
    """The end of what the client printed, without what fills a screen."""
    text = re.sub(r"[^\n\t -~]", "?", process.log)
    return "\n".join("| " + line[:300] for line in text.splitlines()[-25:])
