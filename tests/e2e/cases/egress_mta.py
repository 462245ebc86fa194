# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail servers at both ends of an egress route: they send in clear through ringpost to servers that take mail
in TLS only."""

import contextlib
import json
import re
import smtplib

from harness.backend import CLOSE
from harness.case import case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.partner import Partner
from harness.postfix import NOBODY, Postfix, split_stored
from harness.process import free_port, run
from harness.server_pki import DOMAIN, HOST
from harness.servers.sandbox import Sandbox
from harness.servers.server import Server
from harness.smtp import mail
from harness.world import ROOT

# --- the partner's servers --------------------------------------------------------------------------------


class PostfixPartner(Postfix):
    """Takes mail for bob at the partner's domain, in TLS only."""

    def __init__(self, world, name, identity, **settings):
        self.port = free_port()
        folder = world.folder / name
        super().__init__(name, folder, {
            "myhostname": HOST,
            "mynetworks": "",
            "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_base": folder / "mail",
            "virtual_mailbox_maps": f"inline:{{ {{bob@{DOMAIN} = bob/}} }}",
            "virtual_minimum_uid": "100",
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_chain_files": identity.both_path,
            "smtpd_tls_received_header": "yes",
            "smtpd_tls_loglevel": "1",
            **settings,
        }, f"127.0.0.1:{self.port} inet n - n - - smtpd\n")

    def arrived(self, identifier):
        """The stored message, which says itself how it came."""
        def look():
            new = self.folder / "mail/bob/new"
            found = [path.read_bytes() for path in new.iterdir()] if new.is_dir() else []
            return next((text for text in found if identifier.encode() in text), None)
        text = eventually(look, f"the partner's Postfix storing {identifier}")
        contains(split_stored(text)[0], b"using TLSv1.3 with cipher", "the partner's Received field")
        return split_stored(text)[1]


EXIM = """
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
primary_hostname = {host}
log_file_path = {folder}/exim-%s.log
log_selector = +tls_cipher +received_recipients +msg_id
spool_directory = {folder}/spool
keep_environment =
acl_smtp_mail = mail
acl_smtp_rcpt = recipient
{more}
begin acl
mail:
  deny condition = {tls}
       !encrypted = *
       message = STARTTLS first
  accept
recipient:
  accept
begin routers
{router}
begin transports
{transport}
begin retry
* * F,1h,1s
"""


class EximServer(Server):
    def __init__(self, folder, **text):
        super().__init__(folder)
        (folder / "mail").mkdir(mode=0o777)
        (folder / "mail").chmod(0o777)
        configuration = EXIM.format(port=self.port, folder=folder, **text)
        self.process = Sandbox(folder.name, "exim4-daemon-heavy", ["exim4", "-bdf", "-q5s"], folder, users=["Debian-exim"],
                               files={"etc/exim4/exim4.conf": configuration}, prepare=f"chown Debian-exim: {folder}")
        self.wait()

    @property
    def log(self):
        path = self.folder / "exim-main.log"
        return self.process.log + (path.read_text(encoding="utf-8", errors="replace") if path.exists() else "")


class EximPartner(EximServer):
    def __init__(self, world, name, identity, more=""):
        key = world.folder / f"{name}.key"  # Exim's user reads it; where ringpost has the same one nobody else may
        key.write_bytes(identity.key_path.read_bytes())
        key.chmod(0o644)
        super().__init__(world.folder / name, host=HOST, tls="yes",
                         more=f"tls_advertise_hosts = *\ntls_certificate = {identity.cert_path}\ntls_privatekey = {key}\n{more}",
                         router="all:\n  driver = accept\n  transport = keep",
                         transport=f"keep:\n  driver = appendfile\n  file = {world.folder / name}/mail/all\n  user = nobody\n"
                                   "  message_prefix =\n  message_suffix =\n")

    def arrived(self, identifier):
        line = eventually(lambda: re.search(rf"^.* <= .* id={re.escape(identifier)}@.*$", self.log, re.MULTILINE),
                          f"the partner's Exim taking {identifier}")[0]
        check(re.search(r" P=esmtps .*X=TLS1\.3:", line), f"TLS 1.3 in Exim's log: {line}")

        def look():
            path = self.folder / "mail/all"
            text = path.read_bytes() if path.exists() else b""
            return text if identifier.encode() in text else None
        text = eventually(look, f"the partner's Exim storing {identifier}")
        return text[text.rindex(b"From: <alice@client.example.test>"):]


# --- our own servers --------------------------------------------------------------------------------------
#
# `route` is the port for all mail, or domain → (address, port).


class PostfixOut(Postfix):
    def __init__(self, world, name, route, **settings):
        self.port = free_port()
        if isinstance(route, dict):
            way = {"transport_maps": "inline:{ " + " ".join(
                f"{{{domain} = smtp:[{address}]:{port}}}" for domain, (address, port) in route.items()) + " }"}
        else:
            way = {"relayhost": f"[127.0.0.1]:{route}"}
        super().__init__(name, world.folder / name, {
            "myhostname": "sender.example.test",
            **way,
            "smtp_tls_security_level": "none",
            "smtp_host_lookup": "native",
            **settings,
        }, f"127.0.0.1:{self.port} inet n - n - - smtpd\n")

    def flush(self):
        run(["postqueue", "-c", self.folder / "etc", "-f"])

    def queued(self):
        """What `mailq` says of what waits: [(recipient, reason)]."""
        _, output, _ = run(["postqueue", "-c", self.folder / "etc", "-j"])
        return [(recipient["address"], recipient.get("delay_reason", ""))
                for line in output.splitlines() for recipient in json.loads(line)["recipients"]]


class EximOut(EximServer):
    def __init__(self, world, name, route):
        routes = route if isinstance(route, dict) else {"*": ("127.0.0.1", route)}
        ways = " ; ".join(f"{domain} {address}::{port} byname" for domain, (address, port) in routes.items())
        super().__init__(world.folder / name, host="sender.example.test", tls="no", more="tls_advertise_hosts =",
                         router=f"all:\n  driver = manualroute\n  route_list = {ways}\n  self = send\n  transport = onward\n"
                                "  domains = *",
                         transport="onward:\n  driver = smtp\n  hosts_avoid_tls = *\n  allow_localhost")

    def flush(self):
        pass  # it tries every few seconds

    def queued(self):
        """The log has the words that it would mail to the sender later."""
        return re.findall(r" == (\S+) .* defer \(-?\d+\).*?: (.*)$", self.log, re.MULTILINE)


PARTNERS = {"Postfix": PostfixPartner, "Exim": EximPartner}
SENDERS = {"Postfix": PostfixOut, "Exim": EximOut}


def submit(server, *names, domain=DOMAIN):
    """(the identifier, the content) of a message that `server` has taken for bob, or for those `names`."""
    identifier, content = mail(b".\r\n..\r\nleading dots\r\n" + b"x" * 900 + b"\r\n")
    content = content.replace(b"bob@example.test", f"bob@{domain}".encode())
    with smtplib.SMTP("127.0.0.1", server.port, "client.example.test", timeout=20) as client:
        client.sendmail("alice@client.example.test", [f"{name}@{domain}" for name in names or ("bob",)], content)
    return identifier, content


def lf(content):
    return content.replace(b"\r\n", b"\n").rstrip(b"\n")


def layout_of(world, names, port):
    return Layout(world, None, resolver=[names.address]).egress("out", f"{HOST}:{port}", tls="verify", ca=world.server_pki.ca_a)


@each(("Postfix", "Postfix"), ("Postfix", "Exim"), ("Exim", "Postfix"), ("Exim", "Exim"))
def mail_arrives(world, variant):
    sends, takes = variant
    label = f"{sends}-{takes}".lower()
    partner = world.keep(PARTNERS[takes](world, f"partner-{label}", world.server_pki["right"]))
    partner.wait()
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, names, partner.port)) as proxy:
        sender = world.keep(SENDERS[sends](world, f"sender-{label}", proxy.at("out")[1]))
        sender.wait()
        for _ in range(3):
            identifier, content = submit(sender)
            equal(lf(partner.arrived(identifier)), lf(content), "stored content")
        equal(sender.queued(), [], "what waits at the sender")
        sender.stop()
        partner.stop()


@each(("Postfix", "wrong name", "name"), ("Exim", "self-signed", "self-signed"))
def mail_waits_and_the_queue_says_why(world, variant):
    """And leaves once the partner has a certificate that is right. The other reasons are egress_queue's."""
    sends, identity, words = variant
    label = f"{sends}-{identity}".lower().replace(" ", "-")
    pki = world.server_pki
    partner = world.keep(PostfixPartner(world, f"partner-{label}", pki[identity]))
    partner.wait()
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, names, partner.port)) as proxy:
        sender = world.keep(SENDERS[sends](world, f"sender-{label}", proxy.at("out")[1]))
        sender.wait()
        identifier, content = submit(sender)
        found = eventually(lambda: [entry for entry in sender.queued() if entry[1]], f"a reason in {sends}'s queue")
        recipient, reason = found[0]
        equal(recipient, f"bob@{DOMAIN}", "who waits")
        check(re.search(rf"450 4\.7\.\d+ {re.escape(HOST)}\b.*: .*{words}", reason), f"the reason: {reason}")
        check("bounced" not in sender.log and " ** " not in sender.log, "nothing has bounced")
        (partner.folder / "etc/main.cf").write_text((partner.folder / "etc/main.cf").read_text().replace(
            str(pki[identity].both_path), str(pki["right"].both_path)))
        code, _, errors = run(["postfix", "-c", partner.folder / "etc", "reload"])
        equal(code, 0, f"postfix reload: {errors}")
        sender.flush()
        equal(lf(partner.arrived(identifier)), lf(content), "stored content")
        sender.stop()
        partner.stop()


@each(("Postfix", "MAIL"), ("Postfix", "RCPT"), ("Postfix", "DATA"), ("Postfix", "."), ("Exim", "RCPT"), ("Exim", "."))
def the_server_is_lost(world, variant):
    """In the middle of a session. The queue says why, and the next message is tried at once: the next hop is not given up."""
    sends, at = variant
    label = f"{sends}-lost-{at.replace('.', 'end')}".lower()
    with Partner(world.server_pki.server_context("right"), replies={at: CLOSE}) as partner, \
            NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, names, partner.port)) as proxy:
        sender = world.keep(SENDERS[sends](world, f"sender-{label}", proxy.at("out")[1]))
        sender.wait()
        for count in (1, 2):
            submit(sender)
            eventually(lambda: len(sender.queued()) >= count and all(reason for _, reason in sender.queued()),
                       f"{count} reasons in {sends}'s queue")
        check("suspended" not in sender.log, "the next hop is not suspended")
        for _, reason in sender.queued():
            check(re.search(rf"451 4\.4\.2 {re.escape(HOST)} \S+: closed the connection", reason), f"the reason: {reason}")
        sender.stop()


@each("Postfix", "Exim")
def nobody_is_there(world, sends):
    """The whole next hop must not be given up: greeting and EHLO succeed, and the queue has the words."""
    port = free_port()
    with NameServer({HOST: ["127.0.0.1"]}) as names, world.configured(layout_of(world, names, port)) as proxy:
        sender = world.keep(SENDERS[sends](world, f"sender-{sends.lower()}-alone", proxy.at("out")[1]))
        sender.wait()
        submit(sender)
        found = eventually(lambda: [entry for entry in sender.queued() if entry[1]], f"a reason in {sends}'s queue")
        check(re.search(rf"451 4\.4\.\d+ {re.escape(HOST)}\b.*: ", found[0][1]), f"the reason: {found[0][1]}")
        sender.stop()


# --- several routes -------------------------------------------------------------------------------------------


def of_the_documentation(name, ports):
    """The lines of Exim that begin with this name, with ports of ours."""
    text = (ROOT / "docs/CONFIGURATION.md").read_text(encoding="utf-8")
    lines = re.search(rf"^```\n({name}:\n.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    for address, port in ports.items():
        lines = lines.replace(f"{address}::10026", f"{address}::{port}")
    return lines


class EximOfTheDocumentation(EximOut):
    def __init__(self, world, name, ports):
        EximServer.__init__(self, world.folder / name, host="sender.example.test", tls="no", more="tls_advertise_hosts =",
                            router=of_the_documentation("partners", ports), transport=of_the_documentation("to_ringpost", {}))


@case
def exim_keeps_routes_apart_by_their_addresses(world):
    """It sends what waits for a host over the connection that it has to that host, whatever the port. With an address for
    each route, each message leaves by the route of its domain, also when many wait."""
    pki = world.server_pki
    addresses = {"bank.example": "127.0.0.2", "clinic.example": "127.0.0.3"}
    ports = {address: free_port() for address in addresses.values()}
    with contextlib.ExitStack() as stack:
        partners = {domain: stack.enter_context(Partner(pki.server_context("right"))) for domain in addresses}
        names = stack.enter_context(NameServer({HOST: ["127.0.0.1"]}))
        layout = Layout(world, None, resolver=[names.address])
        for domain, address in addresses.items():
            layout.egress(domain, f"{HOST}:{partners[domain].port}", listen=[f"{address}:{ports[address]}"], tls="verify", ca=pki.ca_a)
        sender = world.keep(EximOfTheDocumentation(world, "sender-exim-routes", ports))
        sender.wait()
        # ringpost is not there yet, so that they wait.
        for _ in range(4):
            for domain in addresses:
                submit(sender, domain=domain)
        eventually(lambda: len({name for name, _ in sender.queued()}) == 2 and len(sender.queued()) >= 8, "eight messages that wait")
        proxy = stack.enter_context(world.configured(layout))
        eventually(lambda: sum(len(partner.messages) for partner in partners.values()) == 8, "eight messages at the partners", 30)
        for domain, partner in partners.items():
            equal([(in_tls, recipients) for in_tls, _, recipients, _ in partner.messages],
                  [(True, [f"RCPT TO:<bob@{domain}>".encode()])] * 4, f"what came to {domain}")
            check(len(partner.sessions) < 4, f"a connection was reused: {len(partner.sessions)}")
        eventually(lambda: {record["route"] for record in proxy.records()} == set(addresses), "both routes in the log")
        sender.stop()
