# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/POSTFIX.md and the examples of README.md: a real Postfix and ringpost with the very lines that stand there. What
docs/POSTFIX.md says of mail that comes in is in postfix_in."""

import contextlib
import json
import re
import shlex
import smtplib

from harness.case import Skip, case, check, contains, equal, eventually
from harness.documents import Document, replaced
from harness.names import NameServer
from harness.partner import Partner
from harness.postfix import NOBODY, Postfix, split_stored
from harness.pki import SERVER_AUTH
from harness.process import free_port, has_ipv6, run
from harness.ringpost import Ringpost
from harness.smtp import Client, mail, plain_secret

DOMAIN = "example.org"  # the document's own, like:
HOST = "mx.example.org"
PARTNERS = {"partner.example": "mx.partner.example", "bank.example": "mx2.bank.example"}
PUBLIC_ROOTS = "/etc/ssl/certs/ca-certificates.crt"


class DocumentedPostfix(Postfix):
    """One that works, with what is usual in main.cf: it offers TLS, passwords need TLS, and mail leaves in TLS only.
    `services` are put behind master.cf, `more` behind main.cf; `others` are other settings than the usual ones."""

    def __init__(self, world, name, services, more="", **others):
        self.port = free_port()
        folder = world.folder / name
        super().__init__(name, folder, {
            "myhostname": HOST,
            "mynetworks": "127.0.0.1/32",
            "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_base": folder / "mail",
            "virtual_mailbox_maps": f"inline:{{ {{bob@{DOMAIN} = bob/}} }}",
            "virtual_minimum_uid": "100",
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_chain_files": f"{world.certs}/ecdsa.key {world.certs}/ecdsa.pem",
            "smtpd_tls_auth_only": "yes",
            "smtpd_sasl_security_options": "noanonymous, noplaintext",
            "smtpd_sasl_tls_security_options": "noanonymous",
            "smtp_tls_security_level": "encrypt",
            "postscreen_greet_wait": "1s",
            **others,
        }, f"127.0.0.1:{self.port} inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n"
           "tlsproxy unix - - n - 0 tlsproxy\ndnsblog unix - - n - 0 dnsblog\n" + services)
        main = folder / "etc/main.cf"
        main.write_text(main.read_text() + more)
        self.wait()

    def stored(self, identifier):
        def look():
            new = self.folder / "mail/bob/new"
            return next((text for text in (path.read_bytes() for path in new.iterdir()) if identifier.encode() in text),
                        None) if new.is_dir() else None
        return eventually(look, f"Postfix storing {identifier}")

    def queue(self):
        _, output, _ = run(["postqueue", "-c", self.folder / "etc", "-j"])
        return [json.loads(line) for line in output.splitlines()]

    def flush(self):
        run(["postqueue", "-c", self.folder / "etc", "-f"])


def started(world, name, flags, **more):
    none = dict.fromkeys(("listen", "listen_tls", "cert", "key", "hostname", "upstream"))
    return Ringpost(world, name, **{**none, **flags, **more})


class Lines:
    """The document's blocks with the ports and paths of this run, and the partners' servers that they name."""

    def __init__(self, world, names):
        pki = world.server_pki
        pki.leaf("bank", pki.root_a, PARTNERS["bank.example"], purposes=SERVER_AUTH)
        self.partners = {domain: Partner(pki.server_context(identity)) for domain, identity in
                         (("partner.example", "right"), ("bank.example", "bank"))}
        self.blocks = Document("docs/POSTFIX.md").blocks
        self.ports = {old: free_port() for old in (25, 587, 465, 10025, 10587, 10040, 10026, 10027)}
        self.world, self.names = world, names

    def loopback(self, block, *ports, **more):
        """With other ports on 127.0.0.1."""
        changes = {f"127.0.0.1:{port}": f"127.0.0.1:{self.ports[port]}" for port in ports}
        return replaced(self.blocks[block], {**changes, **more})

    def transport(self, service, *ports):
        """As `[127.0.0.1]:10026`, where mail is handed over."""
        return replaced(service, {f"[127.0.0.1]:{port}": f"[127.0.0.1]:{self.ports[port]}" for port in ports})

    def ringpost(self, name, text):
        path = self.world.folder / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return started(self.world, name, {"config": path, "resolver": self.names.address})

    def ringpost_in(self):
        certs = self.world.certs
        everywhere = {f"{host}:{port}": f"{host}:{self.ports[port]}" for host in ("0.0.0.0", "[::]") for port in (25, 587, 465)}
        return self.loopback("complete", 10025, 10587, 10040, **everywhere,
                             **{"fullchain.pem": f"{certs}/ecdsa.pem", "privkey.pem": f"{certs}/ecdsa.key"})

    def ringpost_out(self):
        """Both directions: the document adds the second to the file of the first."""
        servers = {f"{host}:25": f"{host}:{self.partners[domain].port}" for domain, host in PARTNERS.items()}
        return self.ringpost_in() + "\n" + self.loopback("ringpost.toml", 10026, 10027, **servers,
                                                         **{PUBLIC_ROOTS: self.world.server_pki.ca_a})


@contextlib.contextmanager
def lines(world):
    if not has_ipv6():
        raise Skip("no IPv6 here")
    with NameServer({host: ["127.0.0.1"] for host in PARTNERS.values()}) as names:
        made = Lines(world, names)
        try:
            yield made
        finally:
            for partner in made.partners.values():
                partner.stop()


def submit(postfix, domain):
    """(the identifier, the content) of a message for bob at `domain`, from a program on the same machine."""
    identifier, content = mail(b".\r\n..\r\n" + b"x" * 900 + b"\r\n")
    with smtplib.SMTP("127.0.0.1", postfix.port, "client.example.test", timeout=20) as client:
        client.sendmail(f"alice@{DOMAIN}", [f"bob@{domain}"], content)
    return identifier, content


def take(partner, identifier):
    """(in TLS, recipient, content) at the partner's server."""
    in_tls, _, (recipient,), content = eventually(
        lambda: next((message for message in partner.messages if identifier.encode() in message[3]), None),
        f"the partner's server taking {identifier}")
    return in_tls, recipient.split()[1], content[content.index(b"From: <alice@"):]


# --- mail that goes out -----------------------------------------------------------------------------------


@case
def out_by_transport_map(world):
    """Each partner's mail at its own server, verified; several in turn, while Postfix keeps connections."""
    with lines(world) as there:
        table = world.folder / "doc-transport"
        table.write_text(there.transport(there.blocks["transport out"], 10026, 10027))
        main = replaced(there.blocks["main.cf out"], {"/etc/postfix/transport": table})
        postfix = world.keep(DocumentedPostfix(world, "doc-out", there.blocks["master.cf out"], main,
                                               smtp_connection_cache_destinations="static:all"))
        equal(run(["postmap", "-c", postfix.folder / "etc", table])[0], 0, "exit code of postmap")
        with there.ringpost("doc-out-ringpost", there.ringpost_out()) as proxy:
            for domain in ("partner.example", "bank.example", "partner.example", "bank.example"):
                identifier, content = submit(postfix, domain)
                equal(take(there.partners[domain], identifier), (True, f"TO:<bob@{domain}>".encode(), content), f"mail for {domain}")
            equal([len(partner.messages) for partner in there.partners.values()], [2, 2], "messages at each partner's server")
            eventually(lambda: {(record.get("route"), record.get("level")) for record in proxy.records()} ==
                       {("partner", "verify"), ("bank", "secure")}, "the session lines", 40)
        contains(postfix.log, "postfix/ringpost-out/smtp[", "Postfix's log")
        equal(postfix.log.count(", conn_use=2,"), 2, "connections that Postfix has used twice")
        postfix.stop()


@case
def out_by_relayhost(world):
    """And the queue says why mail waits, in the document's words; once the partner's server is right, it leaves."""
    with lines(world) as there:
        partner = there.partners["partner.example"]
        partner.tls, partner.auth = world.server_pki.server_context("expired"), True
        passwords = world.folder / "doc-passwords"
        passwords.write_text(there.transport(there.blocks["sasl_passwd"], 10026))
        main = (there.transport(there.blocks["main.cf relayhost"], 10026) +
                replaced(there.blocks["main.cf password"], {"/etc/postfix/sasl_passwd": passwords}))
        postfix = world.keep(DocumentedPostfix(world, "doc-relayhost", "", main))
        equal(run(["postmap", "-c", postfix.folder / "etc", passwords])[0], 0, "exit code of postmap")
        with there.ringpost("doc-relayhost-ringpost", there.ringpost_out()):
            identifier, content = submit(postfix, "partner.example")
            eventually(lambda: any(entry["queue_name"] == "deferred" for entry in postfix.queue()), "a message that waits")
            _, shown, _ = run(["mailq", "-C", postfix.folder / "etc"])
            equal(queue_lines(there.blocks["mailq"]), queue_lines(shown), "what mailq shows, in the document and here")
            partner.tls = world.server_pki.server_context("right")
            postfix.flush()
            equal(take(partner, identifier), (True, b"TO:<bob@partner.example>", content), "what has arrived")
            said = [(inside, line) for session in partner.sessions for inside, line in session.commands if line.startswith(b"AUTH")]
            equal(said, [(True, b"AUTH PLAIN " + plain_secret("alice", "correct-horse").encode())], "the password at the partner's")
        postfix.stop()


def queue_lines(text):
    """Without Postfix's head and summary, and without what differs each time."""
    text = re.sub(r"[\w*!]+ +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d ", "ID SIZE DATE ", text)
    text = re.sub(r"\(\d+\.\d+\.\d+\.\d+:\d+\)", "(ADDRESS)", text)
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("-")]


# --- README.md --------------------------------------------------------------------------------------------


def readme_command(world, section, changes):
    """ringpost as a section of README.md starts it, with other ports and files."""
    found = [block for block in Document("README.md").examples(section) if block.startswith("build/ringpost ")]
    equal(len(found), 1, f"command lines in {section!r}")
    words = shlex.split(replaced(found[0], changes).replace("\\\n", ""))
    return {word.removeprefix("--").split("=", 1)[0]: word.split("=", 1)[1] for word in words[1:]}


@case
def readme_in(world):
    with lines(world) as there:
        ports = there.ports
        everywhere = {f"{host}:{port}": f"{host}:{ports[port]}" for host in ("0.0.0.0", "[::]") for port in (25, 465)}
        flags = readme_command(world, "In front of your Postfix", {
            **everywhere, "127.0.0.1:10025": f"127.0.0.1:{ports[10025]}", "/etc/ssl/mx/fullchain.pem": f"{world.certs}/ecdsa.pem",
            "/etc/ssl/mx/privkey.pem": f"{world.certs}/ecdsa.key"})
        services = [block for block in Document("README.md").examples("In front of your Postfix") if " smtpd\n" in block]
        equal(len(services), 2, "services in README.md")
        text = "".join(services).replace("127.0.0.1:10025", f"127.0.0.1:{ports[10025]}")
        postfix = world.keep(DocumentedPostfix(world, "readme-in", text, smtpd_tls_security_level="may"))
        for name, upstream in (("loopback", flags["upstream"]), ("socket", f"unix:{postfix.folder}/queue/public/ringpost")):
            with started(world, f"readme-in-{name}", flags, upstream=upstream), \
                    Client(("127.0.0.1", ports[25]), source="127.0.0.2") as client:
                client.open(world.tls)
                identifier, content = mail()
                equal(client.message(content, recipients=[f"bob@{DOMAIN}"]).code, 250, "the final dot's reply")
                client.quit()
                contains(split_stored(postfix.stored(identifier))[0], b"[127.0.0.2]", "the Received field")
        postfix.stop()


@case
def readme_out(world):
    with lines(world) as there:
        partner = there.partners["partner.example"]
        flags = readme_command(world, "Mail that leaves", {
            "127.0.0.1:10026": f"127.0.0.1:{there.ports[10026]}", "mx.partner.example:25": f"mx.partner.example:{partner.port}",
            PUBLIC_ROOTS: str(world.server_pki.ca_a)})
        text = Document("README.md").text
        line = re.search(r"`(partner\.example smtp:\S+)`", text)
        check(line, "a line for the transport map in README.md")
        domain, next_hop = there.transport(line[1], 10026).split()
        postfix = world.keep(DocumentedPostfix(
            world, "readme-out", "", smtp_tls_security_level="may", transport_maps=f"inline:{{ {{ {domain} = {next_hop} }} }}"))
        with started(world, "readme-out-ringpost", flags, resolver=there.names.address):
            identifier, content = submit(postfix, domain)
            equal(take(partner, identifier), (True, b"TO:<bob@partner.example>", content), "what has arrived")
            partner.tls = world.server_pki.server_context("expired")
            submit(postfix, domain)
            words = re.search(r"`(450 4\.7\.5 mx\.partner\.example \()[\d.:]+(\): [^`]+)`", text)
            check(words, "what mailq says, in README.md")
            reason = eventually(lambda: [recipient["delay_reason"] for entry in postfix.queue() for recipient in entry["recipients"]
                                         if "delay_reason" in recipient], "a message that waits")[0]
            check(re.search(re.escape(words[1]) + r"[\d.:]+" + re.escape(words[2]), reason), f"the reason: {reason}")
        postfix.stop()
