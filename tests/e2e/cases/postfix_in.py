# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/POSTFIX.md says of mail that comes in: a real Postfix, Dovecot and ringpost with the very lines that stand there."""

import contextlib
import grp
import os
import pwd
import re
import shutil
import socket
import stat

from cases.policy_service import field_of, parts_of
from cases.postfix_doc import DOMAIN, HOST, DocumentedPostfix, lines, started
from harness.case import case, check, contains, equal, eventually
from harness.documents import replaced
from harness.milter import Milter
from harness.postfix import split_stored
from harness.process import free_port, run
from harness.servers.dovecot_sasl import DovecotSasl
from harness.servers.relays import PASSWORD, USER
from harness.smtp import Client, context, mail, plain_secret

STRANGER, DENIED = "127.0.0.2", "127.0.0.3"
QUEUE = "/var/spool/postfix"
MACROS_OF_TLS = {"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"}
ELSEWHERE = "eve@elsewhere.example"


def deliver(client, postfix, recipient=f"bob@{DOMAIN}"):
    """(what Postfix put in front, the message's identifier)."""
    identifier, content = mail()
    equal(client.message(content, recipients=[recipient]).code, 250, "the final dot's reply")
    client.quit()
    head, stored = split_stored(postfix.stored(identifier))
    equal(stored, content.replace(b"\r\n", b"\n"), "stored content")
    return head


def comes_in(world, there, postfix, proxy):
    """A stranger's message: Postfix knows who it was and how it came, and does not relay."""
    with Client(("127.0.0.1", there.ports[25]), source=STRANGER) as client:
        hello = client.open(world.tls)
        check(not offers_auth(hello), f"no AUTH on port 25: {hello}")
        equal(client.command("MAIL FROM:<alice@client.example.test>").code, 250, "MAIL")
        equal(client.command(f"RCPT TO:<{ELSEWHERE}>").code // 100, 5, "the reply to a stranger who wants to relay")
        client.expect("RSET", 250)
        head = deliver(client, postfix)
    contains(head, f"[{STRANGER}]".encode(), "the Received field")
    contains(head, f"Ringpost-TLS: {HOST}; version=TLSv1.3;".encode(), "the trace field")
    contains(postfix.log, "postfix/mx/smtpd[", "Postfix's log")
    # One client in both logs: Postfix has its port, too.
    contains(postfix.log, f": client=unknown[{STRANGER}]:{client.local[1]}", "Postfix's log")
    equal(proxy.record(client.local)["messages"], 1, "messages in ringpost's line about this client")
    eventually(lambda: "upstream postfix-mx (127.0.0.1:" in proxy.log and "answers as it should" in proxy.log, "what the log says")
    return head


def offers_auth(hello):
    return any(text.startswith("AUTH") for text in hello.texts)


# --- smtpd, with submission -------------------------------------------------------------------------------


@case
def in_by_smtpd(world):
    with lines(world) as there:
        milter = world.keep(Milter())
        services = there.loopback("master.cf in", 10025, 10587, 10040)
        outage = there.loopback("master.cf outage", 10040)
        taken_in_an_outage = free_port()
        mx, at_data, _ = services.partition(re.search(r"  -o \{ smtpd_data_restrictions .*\n", services)[0])
        services += mx.replace(str(there.ports[10025]), str(taken_in_an_outage)) + outage
        checks = world.folder / "doc-header-checks"
        checks.write_text(there.blocks["header_checks"])
        postfix = world.keep(DocumentedPostfix(
            world, "doc-smtpd", services, there.blocks["main.cf sasl"], smtpd_tls_received_header="yes",
            broken_sasl_auth_clients="yes", smtpd_milters=f"inet:127.0.0.1:{milter.port}", header_checks=f"regexp:{checks}"))
        path = postfix.folder / "queue/private/auth"
        dovecot = world.keep(DovecotSasl(world.folder / "doc-dovecot", replaced(
            there.blocks["dovecot"], {f"{QUEUE}/private/auth": path}), path))
        with there.ringpost("doc-in", there.ringpost_in()) as proxy:
            head = comes_in(world, there, postfix, proxy)
            nothing_of_tls(head, milter)
            check(b"X-In-Clear" not in head, "a mark on mail that came in TLS")
            with Client(("127.0.0.1", there.ports[25]), source=STRANGER) as client:
                client.open()
                contains(deliver(client, postfix), b"X-In-Clear: yes\n", "what header_checks put in front")
            in_by_submission(world, there, postfix)
        while_ringpost_is_down(there, postfix, taken_in_an_outage)
        and_back(there, postfix)
        dovecot.stop()
        postfix.stop()


def nothing_of_tls(head, milter):
    """What Postfix does not know, a milter learns from the field."""
    contains(head, b" with ESMTP id ", "the Received field")
    check(b"using TLS" not in head, f"a word on TLS: {head}")
    equal(MACROS_OF_TLS & set(milter.macros), set(), "macros about TLS")
    equal(milter.macros["_"], f"unknown [{STRANGER}]", "the client in a macro")
    name, value = milter.headers[0]
    equal((name, parts_of(f"{name}: {value}")["version"]), ("Ringpost-TLS", "TLSv1.3"), "the first header that the milter sees")


def in_by_submission(world, there, postfix):
    for port, implicit in ((587, None), (465, world.tls)):
        with Client(("127.0.0.1", there.ports[port]), source=STRANGER, implicit=implicit) as client:
            hello = client.open(None if implicit else world.tls)
            for offer in ("AUTH ", "AUTH="):
                check(any(text.startswith(offer) and "PLAIN" in text for text in hello.texts), f"{offer} is offered: {hello}")
            client.expect("MAIL FROM:<alice@client.example.test>", 250)
            equal(client.command(f"RCPT TO:<bob@{DOMAIN}>").code // 100, 5, "the reply to a stranger without a password")
            client.expect("RSET", 250)
            client.expect("AUTH PLAIN " + plain_secret(USER, PASSWORD), 235)
            head = deliver(client, postfix)
        contains(head, f"[{STRANGER}]".encode(), "the Received field")
        contains(head, b" with ESMTPA id ", "the Received field")
        equal(parts_of(field_of(head + b"From: <alice@client.example.test>\n")[0])["route"], "submission", "the route in the field")
    with Client(("127.0.0.1", there.ports[587]), source=STRANGER) as client:
        hello = client.open()
        check(not offers_auth(hello), f"no AUTH in clear: {hello}")
        equal(client.command("AUTH PLAIN " + plain_secret(USER, PASSWORD)).code // 100, 5, "the reply to AUTH in clear")
        client.expect("MAIL FROM:<alice@client.example.test>", 530)
    contains(postfix.log, "postfix/submission/smtpd[", "Postfix's log")
    equal(len(re.findall(f"sasl_method=PLAIN, sasl_username={USER}", postfix.log)), 2, "users in Postfix's log")
    with Client(("127.0.0.1", there.ports[465]), source=STRANGER, implicit=world.tls) as client:
        client.open()
        client.expect("AUTH PLAIN " + plain_secret(USER, "wrong"), 535)


def while_ringpost_is_down(there, postfix, taken_in_an_outage):
    """Whoever reaches the service in another way."""
    with Client(("127.0.0.1", there.ports[10025]), header=b"PROXY TCP4 127.0.0.9 127.0.0.1 4321 25\r\n") as client:
        client.open()
        client.envelope(recipients=[f"bob@{DOMAIN}"])
        equal(client.command("DATA").raw.decode().replace("\r\n", "\n"), there.blocks["reply outage"], "the reply to DATA")
    with Client(("127.0.0.1", taken_in_an_outage), header=b"PROXY TCP4 127.0.0.9 127.0.0.1 4321 25\r\n") as client:
        client.open()
        check(b"Ringpost-TLS" not in deliver(client, postfix), "a field that nobody made")


def and_back(there, postfix):
    """Postfix alone; then the same while somebody else has the port."""
    master = postfix.folder / "etc/master.cf"
    before = master.read_text()
    old = replaced(there.blocks["master.cf back"], {
        f"{name} inet": f"127.0.0.1:{there.ports[port]} inet" for name, port in (("smtp", 25), ("submission", 587), ("submissions", 465))})
    new = there.loopback("master.cf in", 10025, 10587, 10040)
    master.write_text(replaced(before, {new: old}))
    equal(run(["postfix", "-c", postfix.folder / "etc", "reload"])[0], 0, "exit code of postfix reload")
    eventually(lambda: answers(there.ports[465]), "Postfix on its old ports")
    with Client(("127.0.0.1", there.ports[25]), source=STRANGER) as client:
        client.open(context())
        contains(deliver(client, postfix), b" with ESMTPS id ", "the Received field")
    with Client(("127.0.0.1", there.ports[465]), source=STRANGER, implicit=context()) as client:
        hello = client.open()
        check(offers_auth(hello), f"AUTH is offered: {hello}")
    check(not answers(there.ports[10587]), "the new services are gone")

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        master.write_text(master.read_text() + f"127.0.0.1:{port} inet n - y - - smtpd\n")
        equal(run(["postfix", "-c", postfix.folder / "etc", "reload"])[0], 0, "exit code of postfix reload")
        eventually(lambda: not postfix.process.running(), "the end of Postfix's master process")


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- postscreen -------------------------------------------------------------------------------------------


@case
def in_by_postscreen(world):
    with lines(world) as there:
        postfix = world.keep(DocumentedPostfix(
            world, "doc-postscreen", there.loopback("master.cf postscreen", 10025, 10040), postscreen_greet_action="enforce",
            postscreen_access_list=f"permit_mynetworks, inline:{{ {{ {DENIED} = reject }} }}", postscreen_denylist_action="enforce",
            **{f"postscreen_{name}_{word}": value for name in ("pipelining", "non_smtp_command", "bare_newline")
               for word, value in (("enable", "yes"), ("action", "enforce"))}))
        with there.ringpost("doc-postscreen-in", there.ringpost_in()) as proxy:
            # postscreen looks at a new client's commands itself, and lets it come again.
            with Client(("127.0.0.1", there.ports[25]), source=STRANGER) as client:
                client.open(world.tls)
                client.expect("MAIL FROM:<alice@client.example.test>", 250)
                contains(client.expect(f"RCPT TO:<bob@{DOMAIN}>", 450).raw, b"450 4.3.2 Service currently unavailable", "the reply")
                client.quit()
            comes_in(world, there, postfix, proxy)
            not_seen_by_postscreen(there)
        check(not re.search("PREGREET|COMMAND PIPELINING|NON-SMTP COMMAND|BARE NEWLINE", postfix.log), "what postscreen has found")
        postfix.stop()


def not_seen_by_postscreen(there):
    """Clients that would fail its tests; and one that it has on a list."""
    words = ["EHLO client.example.test", "MAIL FROM:<alice@client.example.test>", f"RCPT TO:<bob@{DOMAIN}>", "QUIT"]
    impatient = "".join(f"{word}\r\n" for word in words).encode()
    with contextlib.ExitStack() as all_of_them:  # who all wait for their greeting at the same time
        early, at_once, web, careless, denied = (
            all_of_them.enter_context(Client(("127.0.0.1", there.ports[25]), source=source))
            for source in ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14", DENIED))
        early.send(impatient)
        early.greeting()
        at_once.greeting()
        at_once.send(impatient)
        for client in (early, at_once):
            equal([client.reply().code for _ in words], [250, 250, 450, 221], "the replies to one who does not wait")
        web.open()
        contains(web.command("GET / HTTP/1.1").raw, b"500 5.5.1 ", "the reply to GET")
        equal(web.rest(), b"", "what follows")
        careless.open()
        careless.send(b"NOOP\n")
        contains(careless.reply().raw, b"500 5.5.2 ", "the reply to a bare newline")
        denied.open()
        denied.expect("MAIL FROM:<alice@client.example.test>", 250)
        equal(denied.command(f"RCPT TO:<bob@{DOMAIN}>").code // 100, 5, "the reply to a client on the list")


# --- unix sockets, and clients that may relay -----------------------------------------------------------------


@case
def in_by_sockets(world):
    """ringpost is neither root nor Postfix's user here, smtpd runs in its chroot."""
    with lines(world) as there:
        postfix = world.keep(DocumentedPostfix(world, "doc-sockets", there.blocks["master.cf unix"] +
                                               there.blocks["master.cf certificates"], default_transport="discard",
                                               relay_transport="discard"))
        queue = postfix.folder / "queue"
        usermod, install = there.blocks["commands unix"].splitlines()
        group = re.fullmatch(r"usermod -aG (\w+) ringpost", usermod)[1]
        equal(run(replaced(install, {"-o ringpost": "-o nobody", QUEUE: queue}).split())[0], 0, "exit code of install")
        with as_nobody(world, there, queue, group) as proxy:
            with Client(("127.0.0.1", there.ports[25]), source=STRANGER) as client:
                client.open(world.tls)
                head = deliver(client, postfix)
            contains(head, f"[{STRANGER}]".encode(), "the Received field")
            contains(head, f"Ringpost-TLS: {HOST}; version=TLSv1.3;".encode(), "the trace field")
            made = os.stat(queue / "ringpost/policy")
            equal((made.st_uid, grp.getgrgid(made.st_gid).gr_name, stat.S_IMODE(made.st_mode)),
                  (pwd.getpwnam("nobody").pw_uid, "postfix", 0o660), "owner, group and mode of the policy service's socket")
            relay_by_certificate(world, there, postfix)
        code, output, errors = run(["postfix", "-c", postfix.folder / "etc", "check"])
        check(code == 0 and "queue/ringpost" not in output + errors, f"what postfix check says of the folder: {output}{errors}")
        postfix.stop()


def as_nobody(world, there, queue, group):
    """The document's ringpost with these sockets, as a user in this group."""
    folder = world.folder / "doc-nobody"  # where that user may read
    shutil.copytree(world.certs, folder)
    user = pwd.getpwnam("nobody")
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    program = folder / "ringpost"
    shutil.copy(world.ringpost_path, program)
    there.ports[2525] = free_port()
    text = there.ringpost_in() + there.blocks["ringpost.toml certificates"]
    text = replaced(text, {
        f"127.0.0.1:{there.ports[10025]}": f"unix:{queue}/public/ringpost",
        f'"127.0.0.1:{there.ports[10040]}"': f'"unix:{queue}/ringpost/policy"',
        f"unix:{QUEUE}/public/relaying": f"unix:{queue}/public/relaying",
        "0.0.0.0:2525": f"0.0.0.0:{there.ports[2525]}", "[::]:2525": f"[::]:{there.ports[2525]}",
        re.search('fingerprints = \\["(.*)"\\]', text)[1]: world.pki["self-signed"].fingerprint,
        f"{world.certs}/ecdsa.pem": folder / "ecdsa.pem", f"{world.certs}/ecdsa.key": folder / "ecdsa.key"})
    path = world.folder / "doc-nobody.toml"
    path.write_text(text, encoding="utf-8")
    return started(world, "doc-nobody", {"config": path, "resolver": there.names.address}, runner=(
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", f"--groups={grp.getgrnam(group).gr_gid}"), program=program)


def relay_by_certificate(world, there, postfix):
    address = ("127.0.0.1", there.ports[2525])
    for name in ("self-signed", "right", None):
        with Client(address, source=STRANGER) as client:
            client.open(world.pki.context(name))
            if name != "self-signed":
                reply = client.command("MAIL FROM:<alice@client.example.test>").raw
                contains(reply, b"550 5.7.0 Client certificate required", f"the reply to MAIL with {name}")
                continue
            identifier, content = mail()
            equal(client.message(content, recipients=[ELSEWHERE]).code, 250, "the final dot's reply")
    with Client(address, source=STRANGER) as client:
        client.open()
        client.expect("MAIL FROM:<alice@client.example.test>", 530)
    queue_id = eventually(lambda: re.search(rf" (\w+): message-id=<{identifier}@", postfix.log), "the message in Postfix's log")[1]
    eventually(lambda: re.search(rf"/discard\[\d+\]: {queue_id}: to=<{ELSEWHERE}>.* status=sent", postfix.log), "mail that is relayed")
    with Client(("127.0.0.1", there.ports[25]), source=STRANGER) as client:
        client.open(world.pki.context("self-signed"))
        client.expect("MAIL FROM:<alice@client.example.test>", 250)
        equal(client.command(f"RCPT TO:<{ELSEWHERE}>").code, 554, "the reply to the same client on port 25")
