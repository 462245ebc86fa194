# SPDX-License-Identifier: GPL-3.0-or-later
"""Other mail servers at the far end of an egress route: Dovecot's submission service, sendmail, Haraka and smtp-server.
Mail comes to them in TLS, and the session line says which; what they refuse is refused in their own words."""

import base64
import email
import re

from cases.egress_mta import PostfixOut, PostfixPartner, submit
from harness.case import case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.server_pki import DOMAIN, HOST
from harness.servers.node import Haraka, SmtpServerWithTls
from harness.servers.relays import PASSWORD, USER, Dovecot
from harness.servers.sandbox import version_of
from harness.servers.sendmail import Sendmail
from harness.smtp import Client, context, mail, plain_secret

# --- the servers --------------------------------------------------------------------------------------------
#
# Each has received(identifier): (version of TLS; whose certificate we have shown: "none", a common name, or "one that
# counts"; the message). None: it cannot tell.


class TlsSendmail(Sendmail):
    """As Debian sets it up: it asks for a client certificate."""

    MACROS = f"""
define(`confCACERT_PATH', `/etc/mail/tls')dnl
define(`confCACERT', `/etc/mail/tls/ca.pem')dnl
define(`confSERVER_CERT', `/etc/mail/tls/mx.pem')dnl
define(`confSERVER_KEY', `/etc/mail/tls/mx.key')dnl
LOCAL_DOMAIN(`{DOMAIN}')dnl
LOCAL_RULESETS
SLocal_check_rcpt
R<nobody.here@$+>\t$#error $@ 5.1.1 $: "550 nobody of that name, says \'sendmail\' (100% sure)"
divert(-1)dnl
"""
    GROUP = ("P-256",)  # its own choice: an answer to our hello with a retry
    REFUSED = f"550 5.1.1 <nobody.here@{DOMAIN}>... nobody of that name, says 'sendmail' (100% sure)"
    LOGIN = False

    def __init__(self, world):
        identity = world.server_pki["right"]
        files = {"ca.pem": world.server_pki.ca_a, "mx.pem": identity.cert_path, "mx.key": identity.key_path}
        super().__init__(world.folder / "receiver-sendmail", macros=self.MACROS,
                         files={f"etc/mail/tls/{name}": path.read_text() for name, path in files.items()},
                         prepare="chmod 600 /etc/mail/tls/mx.key")

    def received(self, identifier):
        def look():
            found = [path for path in (self.folder / "queue").glob("qf*") if identifier in path.read_text(errors="replace")]
            return found[0] if found else None
        queued = eventually(look, f"sendmail queueing {identifier}")
        envelope = queued.read_text(encoding="latin-1")
        version, verify = re.search(r"\(version=(\S+) cipher=\S+ bits=\d+ verify=(\w+)\)", envelope).groups()
        shown = {"NO": "none", "OK": "one that counts", "FAIL": "one that does not"}[verify]
        headers = "".join(line[3:] + "\n" for line in re.findall(r"^H\?\?.*$", envelope, re.MULTILINE) if "Received:" not in line)
        body = queued.with_name(queued.name.replace("qf", "df", 1)).read_bytes()
        return version, shown, headers.encode("latin-1") + b"\n" + body


class NodeReceiver:
    MISJUDGES = False

    def received(self, identifier):
        def look():
            for found in re.findall(r"^in TLS (\S+) (\S+) (\S+) (\S+)$", self.log, re.MULTILINE):
                content = base64.b64decode(found[3])
                if identifier.encode() in content:
                    # Haraka 3.3.4 calls all certificates unverified.
                    return found[0], found[1] if found[2] == "true" or self.MISJUDGES else f"{found[1]}, unverified", content
            return None
        version, shown, content = eventually(look, f"the server printing {identifier}")
        return version, shown, content[content.index(b"From: <alice@client.example.test>"):].replace(b"\r\n", b"\n")


class TlsHaraka(NodeReceiver, Haraka):
    """As it comes with the plugin tls: it asks for a client certificate."""

    MISJUDGES = True
    GROUP = ("X25519MLKEM768",)
    REFUSED = f'550 <nobody.here@{DOMAIN}>: nobody of that name, says "Haraka" (100% sure)'
    LOGIN = False

    def __init__(self, world):
        identity = world.server_pki["right"]
        super().__init__(world.folder / "receiver-haraka", "haraka", ("tls",), {
            "etc/haraka/config/tls.ini": "[main]\nca=ca.pem\n",
            "etc/haraka/config/ca.pem": world.server_pki.ca_a.read_text(),
            "etc/haraka/config/tls_key.pem": identity.key_path.read_text(),
            "etc/haraka/config/tls_cert.pem": identity.cert_path.read_text()})


class TlsSmtpServer(NodeReceiver, SmtpServerWithTls):
    GROUP = ("X25519MLKEM768",)
    REFUSED = f'550 5.1.1 <nobody.here@{DOMAIN}>: nobody of that name, says "smtp-server" (100% sure)'
    LOGIN = False

    def __init__(self, world):
        identity = world.server_pki["right"]
        super().__init__(world.folder / "receiver-smtp-server", (identity.key_path, identity.cert_path, world.server_pki.ca_a))


class TlsDovecot(Dovecot):
    """Submission: our own server logs in, in clear to ringpost, and Dovecot hands the mail to a Postfix, in TLS again."""

    GROUP = ("X25519", "X25519MLKEM768")  # what OpenSSL chooses, 3.0 of Debian 12 or a later one
    REFUSED = f"<nobody.here@{DOMAIN}>: Recipient address rejected: User unknown in virtual mailbox table"  # the Postfix behind it
    LOGIN = True

    def __init__(self, world):
        identity = world.server_pki["right"]
        self.mx = world.keep(PostfixPartner(world, "receiver-dovecot-mx", identity))
        self.mx.wait()
        new = version_of("dovecot-core", "dovecot-submissiond") >= (2, 4)
        settings = ((f"ssl_server_cert_file = {identity.cert_path}", f"ssl_server_key_file = {identity.key_path}",
                     "ssl_server_request_client_cert = yes", f"ssl_server_ca_file = {world.server_pki.ca_a}",
                     "ssl_server_require_crl = no") if new else
                    (f"ssl_cert = <{identity.cert_path}", f"ssl_key = <{identity.key_path}",
                     "ssl_verify_client_cert = yes", f"ssl_ca = <{world.server_pki.ca_a}", "ssl_require_crl = no"))
        super().__init__(world.folder / "receiver-dovecot", "dovecot", self.mx, "\n".join(("ssl = required", *settings)),
                         "submission_relay_ssl = starttls\nsubmission_relay_ssl_verify = no\n")

    def received(self, identifier):
        return None, None, self.mx.arrived(identifier)

    def stop(self):
        super().stop()
        self.mx.stop()


RECEIVERS = {"Dovecot": TlsDovecot, "sendmail": TlsSendmail, "Haraka": TlsHaraka, "smtp-server": TlsSmtpServer}


_started = {}


def receiver(world, kind):
    if kind not in _started:
        try:
            _started[kind] = world.keep(RECEIVERS[kind](world))
        except Exception as error:  # for every case that asks: it would not start then either
            _started[kind] = error
    if isinstance(_started[kind], Exception):
        raise _started[kind]
    return _started[kind]


# --- mail ---------------------------------------------------------------------------------------------------


def layout_of(world, server, names):
    """Two routes to it, and two that show a certificate of ours."""
    pki, there = world.server_pki, f"{HOST}:{server.port}"
    layout = Layout(world, None, resolver=[names.address])
    ours = {"client_cert": pki["our own"].cert_path, "client_key": pki["our own"].key_path}
    for name, more in (("bare", {}), ("ours", ours)):
        layout.egress(f"verify {name}", there, tls="verify", ca=pki.ca_a, **more)
        layout.egress(f"secure {name}", there, tls="secure", match=["." + DOMAIN], ca=pki.ca_a, **more)
    return layout


def log_in(client, server):
    if server.LOGIN:
        client.expect(f"AUTH PLAIN {plain_secret(USER, PASSWORD)}", 235)


def refused(client, server):
    log_in(client, server)
    client.expect("MAIL FROM:<alice@client.example.test>", 250)
    reply = client.command(f"RCPT TO:<nobody.here@{DOMAIN}>")
    equal(reply.code, 550, "the reply's code")
    return reply


def fields_of(text):
    """(the header fields that every server keeps, the body)."""
    message = email.message_from_bytes(text)
    return [message[name] for name in ("From", "To", "Subject", "Message-ID")], text.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()


@each(*RECEIVERS)
def mail_arrives(world, kind):
    """Whatever the server asks of us, and with the certificate that we are to show, which it gets."""
    server = receiver(world, kind)
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, server, names)) as proxy:
        for route in proxy.layout.egresses:
            identifier, content = mail(b".\r\n..\r\nleading dots\r\n" + b"x" * 900 + b"\r\n")
            content = content.replace(b"bob@example.test", f"bob@{DOMAIN}".encode())
            with Client(proxy.at(route)) as client:
                client.open()
                log_in(client, server)
                equal(client.message(content, recipients=[f"bob@{DOMAIN}"]).code, 250, f"the final dot's reply, {route}")
                client.quit()
            version, shown, stored = server.received(identifier)
            equal(fields_of(stored), fields_of(content), f"the message at {kind}, {route}")
            if version:
                equal(version, "TLSv1.3", f"what {kind} says of TLS, {route}")
                wanted = ("none", "none, unverified") if "bare" in route else ("our.example", "one that counts")
                contains(wanted, shown, f"our certificate at {kind}, {route}")
            said = proxy.record(client.local)
            wanted = {"direction": "out", "tls": "TLSv1.3", "host": HOST, "level": route.split()[0], "messages": 1, "refused": 0,
                      "upstream": f"127.0.0.1:{server.port}"}
            equal({key: said.get(key) for key in wanted}, wanted, f"the session line, {route}")
            contains(server.GROUP, said["group"], f"the group with {kind}")


@each(*RECEIVERS)
def a_refusal_in_its_own_words(world, kind):
    """The reply to RCPT is the one that it gives without ringpost, and the session goes on."""
    server = receiver(world, kind)
    with Client(("127.0.0.1", server.port)) as client:
        client.open(context())
        own = refused(client, server)
        contains(own.raw, server.REFUSED.encode(), f"what {kind} says")
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, server, names)) as proxy:
        with Client(proxy.at("verify bare")) as client:
            client.open()
            equal(refused(client, server).raw, own.raw, f"what {kind} says by way of ringpost")
            client.expect(f"RCPT TO:<bob@{DOMAIN}>", 250)
            client.expect("RSET", 250)
            client.quit()
        equal(proxy.record(client.local)["refused"], 1, "refusals in the session line")


@case
def from_a_real_postfix(world):
    """Mail to two: one gets it, and for the other the log quotes the server."""
    server = receiver(world, "sendmail")
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, server, names)) as proxy:
        sender = world.keep(PostfixOut(world, "sender-to-sendmail", proxy.at("secure bare")[1]))
        sender.wait()
        identifier, content = submit(sender, "nobody.here", "bob")
        version, _, stored = server.received(identifier)
        equal(version, "TLSv1.3", "what sendmail says of TLS")
        equal(fields_of(stored), fields_of(content), "the message at sendmail")
        line = eventually(lambda: re.search(rf"to=<nobody.here@{DOMAIN}>.* status=bounced .*", sender.log), "a bounce in Postfix's log")[0]
        contains(line, f"said: {server.REFUSED} (in reply to RCPT TO command)", "the bounce")
        sender.stop()
