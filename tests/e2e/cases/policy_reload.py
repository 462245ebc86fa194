# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGHUP: the whole file is validated first, new sessions take the new configuration, running ones keep theirs but for the
policies that their mail is judged by."""

import os
import shutil
import signal
import ssl
import threading

from cases.policy import TLS_FIRST, greet, mail_from, reply_to, verdict
from cases.start import place_of
from harness.backend import CLOSE, SILENT, Backend
from harness.case import Failure, case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.process import free_port, run
from harness.smtp import Client, context, mail
from harness.world import ROOT


def simple(world, port=None, **tuning):
    layout = Layout(world, port or world.sink.port, **tuning)
    layout.tls.update(client_ca=world.pki.ca_a)
    return layout.route("mx", tls="may").partner("contoso", sender_domains=["contoso.example"], tls="encrypt")


def reloaded(proxy, *arguments, **named):
    level, message = proxy.reload(*arguments, **named)
    equal(level, "info", f"level of the reload's result: {message}")
    return message


def in_clear(world, address, sender="a@x.example"):
    return verdict(world, address, "no TLS", sender)[0]


def refused(address):
    try:
        Client(address).drop()
        return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # the listener was closed with it in the queue
        return False


@case
def a_reload_says_what_has_changed(world):
    """And nothing of what has not."""
    with world.configured(simple(world)) as proxy:
        said = {component: len(proxy.events(component)) for component in ("route", "certificate", "trust", "partners")}
        contains(reloaded(proxy), "done: 0 change(s); 1 route(s), 1 partner(s)", "without a change")
        message = reloaded(proxy, text=proxy.path.read_text(encoding="utf-8").replace('tls = "may"', 'tls = "encrypt"')
                           .replace('name = "contoso"', 'name = "fabrikam"'))
        contains(message, "done: 3 change(s); ", "the last line")
        equal([event["message"] for event in proxy.events("changed")],
              ['ingress "mx": tls is "encrypt", was "may"', 'partner "fabrikam" is new', 'partner "contoso" is removed'],
              "the changes")
        more = {component: len(proxy.events(component)) - before for component, before in said.items()}
        equal(more, {"route": 1, "certificate": 0, "trust": 0, "partners": 0}, "what else is said anew")


@each(("syntax", 'tls = "may"', 'tls = = "may"', "= "), ("unknown key", 'tls = "may"', 'tsl = "may"', "tsl"),
      ("unknown level", 'tls = "may"', 'tls = "mayy"', '"mayy"'),
      ("unknown partner key", "sender_domains", "sender_domain", "sender_domain "),
      ("no such file", "root-a.pem", "root-x.pem", "client_ca"), named=True)
def a_broken_file_changes_nothing(world, variant):
    _, old, new, marked = variant
    with world.configured(simple(world)) as proxy, greet(world, proxy.at("mx"), "no TLS") as running:
        good = proxy.path.read_text(encoding="utf-8")
        text = good.replace(old, new)
        check(text != good, "the change was made")
        level, message = proxy.reload(text=text)
        check(level in ("warning", "error"), f"level of the reload's result: {level} {message}")
        line = place_of(text, marked if marked != "= " else "= = ")[0]
        contains(message, f"{proxy.path}:{line}:", "file, line and column")
        column = message.split(f"{proxy.path}:{line}:", 1)[1].split(":")[0]
        check(column.isdigit(), f"a column in {message!r}")
        check(mail_from(running, "a@x.example").startswith("250 "), "the running session")
        running.quit()
        check(in_clear(world, proxy.at("mx")).startswith("250 "), "a new session")
        equal(in_clear(world, proxy.at("mx"), "a@contoso.example"), TLS_FIRST, "the partner's policy")
        reloaded(proxy, text=good)  # and it is none the worse for it


@case
def a_file_that_is_gone(world):
    with world.configured(simple(world)) as proxy:
        proxy.path.unlink()
        level, message = proxy.reload()
        check(level in ("warning", "error"), f"level of the reload's result: {level}")
        contains(message, str(proxy.path), "the log")
        check(in_clear(world, proxy.at("mx")).startswith("250 "), "a new session")


@case
def a_changed_policy(world):
    with world.configured(simple(world)) as proxy:
        with greet(world, proxy.at("mx"), "no TLS") as running:
            strict = proxy.layout.copy().route("mx", tls="encrypt")
            strict.partner("fabrikam", sender_domains=["fabrikam.example"], tls="verify")
            reloaded(proxy, strict)
            equal(in_clear(world, proxy.at("mx")), TLS_FIRST, "a new session in clear")
            equal(verdict(world, proxy.at("mx"), "no certificate", "a@fabrikam.example")[0], reply_to("no-certificate"),
                  "the new partner")
            # The running one's mail is judged by what is in force, and it can still do what is asked.
            equal(mail_from(running, "a@x.example"), TLS_FIRST, "the running session, in clear")
            running.starttls(context())
            running.expect("EHLO a", 250)
            equal(mail_from(running, "a@fabrikam.example"), reply_to("no-certificate"), "the running session's new partner")
            identifier, content = mail()
            equal(running.message(content).code, 250, "a message of the running session")
            running.quit()
        world.sink.message(identifier.encode())
        lax = proxy.layout.copy().route("mx", tls="may")
        lax.partners.clear()
        reloaded(proxy, lax)
        check(in_clear(world, proxy.at("mx"), "a@contoso.example").startswith("250 "), "without partners")


@case
def starttls_of_a_session_from_before(world):
    """A session that began in clear before the reload does its handshake after it."""
    with world.configured(simple(world)) as proxy:
        with greet(world, proxy.at("mx"), "no TLS") as running:
            reloaded(proxy, proxy.layout.copy().route("mx", tls="verify"))
            running.starttls(context())
            running.expect("EHLO a", 250)
            equal(mail_from(running, "a@x.example"), reply_to("no-certificate"), "the policy in force")
            running.quit()


@each("list", "CA", "partner")
def a_certificate_revoked_at_a_reload(world, how):
    """A running session is told at its next MAIL, and may go on once it is trusted again."""
    pki, path = world.pki, world.pki.folder / f"reload-{how.replace(' ', '-')}"
    ca, crl = path.with_suffix(".pem"), path.with_suffix(".crl")
    ca.write_bytes(pki.ca_a.read_bytes())
    pki.write_crl(crl.name, pki.root_a)
    layout = Layout(world, world.sink.port)
    layout.tls.update(client_ca=ca, crl=crl, revocation="hard")
    route, partner = (layout.route("mx", tls="may"), "contoso.example") if how == "partner" else (
        layout.route("mx", tls="verify"), "x.example")
    if how == "partner":
        layout.partner("contoso", sender_domains=[partner], tls="verify")
    with world.configured(layout) as proxy:
        with greet(world, proxy.at("mx"), "right") as running, greet(world, proxy.at("mx"), "rsa") as other:
            for _ in range(2):
                identifier, content = mail()
                equal(running.message(content, sender=f"a@{partner}").code, 250, "a message while it is trusted")
                world.sink.message(identifier.encode())
                if how == "CA":
                    ca.write_bytes(pki.ca_b.read_bytes())
                    pki.write_crl(crl.name, pki.root_b)
                else:
                    pki.write_crl(crl.name, pki.root_a, (pki["right"].serial,))
                reloaded(proxy)
                fault = "untrusted" if how == "CA" else "revoked"
                equal(mail_from(running, f"a@{partner}"), reply_to(fault), "the next MAIL of the running session")
                equal(mail_from(other, f"a@{partner}")[:4], "550 " if how == "CA" else "250 ", "another certificate")
                other.expect("RSET", 250)
                ca.write_bytes(pki.ca_a.read_bytes())
                pki.write_crl(crl.name, pki.root_a)
                reloaded(proxy)
            running.quit()
            other.quit()
        faults = [line["fault"] for line in proxy.accusations(running.local)]
        equal(faults, [fault] * 2, "the log about it")
        equal(proxy.record(running.local)["messages"], 2, "messages of the session")


@case
def a_certificate_that_was_not_asked_for(world):
    """The running session cannot show one any more: it is told to come again, not that it has none."""
    layout = Layout(world, world.sink.port).route("mx", tls="may")
    with world.configured(layout) as proxy:
        with greet(world, proxy.at("mx"), "right") as running:
            identifier, content = mail()
            equal(running.message(content).code, 250, "a message before")
            strict = layout.copy().route("mx", tls="verify")
            strict.tls.update(client_ca=world.pki.ca_a)
            reloaded(proxy, strict)
            contains(mail_from(running, "a@x.example"), "421 4.3.2 ", "the next MAIL")
            equal(running.rest(), b"", "the end of the session")
        equal(proxy.record(running.local)["reason"], "policy_changed", "the session line's reason")
        with greet(world, proxy.at("mx"), "right") as again:
            check(mail_from(again, "a@x.example").startswith("250 "), "a new session")
            again.quit()


@each(1, 2)
def listeners_come_and_go(world, shards):
    with world.configured(simple(world, shards=shards)) as proxy:
        first = proxy.at("mx")
        more = proxy.layout.copy().route("second", tls="encrypt")
        reloaded(proxy, more)
        second = proxy.at("second")
        equal(in_clear(world, second), TLS_FIRST, "the new listener's policy")
        check(in_clear(world, first).startswith("250 "), "the old listener")
        with greet(world, first, "no TLS") as running:
            less = more.copy()
            del less.routes["mx"]
            reloaded(proxy, less)
            eventually(lambda: refused(first), "the removed listener accepts nobody")
            # Its route had partners, and nobody says any more which hold.
            contains(mail_from(running, "a@x.example"), "421 4.3.2 ", "a running session of the removed listener")
        equal(proxy.record(running.local)["reason"], "policy_changed", "the session line's reason")
        equal(in_clear(world, second), TLS_FIRST, "the listener that stayed")
        reloaded(proxy, more)  # and back again
        check(in_clear(world, first).startswith("250 "), "the listener that came back")
        # The same address, now another route's.
        renamed = less.copy()
        renamed.routes["third"] = {**more.routes["mx"], "tls": "encrypt"}
        renamed.ports["third"] = more.ports["mx"]
        reloaded(proxy, renamed)
        reply, local = verdict(world, first, "no TLS")
        equal((reply, proxy.record(local)["route"]), (TLS_FIRST, "third"), "the address that changed its route")


@each(1, 2)
def where_tls_begins_changes(world, shards):
    """One address, in turn with STARTTLS and with TLS first: a client that waits for the greeting must get it."""
    layout = Layout(world, world.sink.port, shards=shards)
    with world.configured(layout.route("mx", tls="may")) as proxy:
        for implicit in (True, False, True):
            reloaded(proxy, layout.copy().route("mx", tls="may", implicit_tls=implicit))
            with Client(proxy.at("mx"), implicit=world.tls if implicit else None) as client:
                client.open(None if implicit else world.tls)
                client.quit()


@case
def another_upstream(world):
    """New sessions go to the new one, whatever was known of the old one and although a probe is under way."""
    with Backend({"greeting": CLOSE}) as first, Backend() as second, Backend() as third:
        # One shard: another would have to find out by itself that the first is silent.
        # The sandbox would not let it connect to a port that no upstream had at the start.
        layout = Layout(world, [f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"], sandbox="off").route("mx", tls="may")
        other = layout.copy()
        other.upstreams["backend"]["addresses"] = [f"127.0.0.1:{third.port}"]
        with world.configured(layout) as proxy:
            check(in_clear(world, proxy.at("mx")).startswith("250 "), "the second of two addresses")
            first.probe_replies["greeting"] = SILENT
            eventually(lambda: any(not probe.ended for probe in first.probes), "a probe that waits for a greeting")
            with greet(world, proxy.at("mx"), "no TLS") as running:
                for layouts in (other, layout, other):
                    reloaded(proxy, layouts)
                before = len(second.sessions)
                check(in_clear(world, proxy.at("mx")).startswith("250 "), "the new upstream")
                equal((len(second.sessions), len(third.sessions)), (before, 1), "sessions at the second and third")
                check(mail_from(running, "a@x.example").startswith("250 "), "the running session")
                running.quit()
            proxy.terminate()
            equal(proxy.process.wait(), 0, "exit code")


@case
def sighup_while_draining(world):
    """The end stays the end."""
    with world.configured(simple(world, drain_timeout="20s")) as proxy:
        with greet(world, proxy.at("mx"), "no TLS") as busy, greet(world, proxy.at("mx"), "no TLS") as idle:
            busy.envelope()
            proxy.terminate()
            contains(idle.rest(), b"421 ", "what an idle client is told")
            more = proxy.layout.copy().route("second", tls="may")
            proxy.path.write_text(more.text(), encoding="utf-8")
            proxy.process.signal(signal.SIGHUP)
            busy.expect("DATA", 354)
            identifier, content = mail()
            check(refused(proxy.at("mx")) and refused(("127.0.0.1", more.ports["second"])), "nobody is accepted")
            busy.send(content + b".\r\n")
            equal(busy.reply().code, 250, "reply to the final dot")
            busy.rest()
        equal(proxy.process.wait(), 0, "exit code")
    world.sink.message(identifier.encode())


@case
def a_new_listener_on_a_taken_port(world):
    with world.configured(simple(world)) as proxy, world.private(world.sink.port) as other:
        free = free_port()
        wanting = proxy.layout.copy().route("mx", tls="encrypt")
        wanting.routes["second"] = {"listen": [f"127.0.0.1:{free}", f"127.0.0.1:{other.port}"], "upstream": "backend",
                                    "tls": "may"}
        level, message = proxy.reload(text=wanting.text())
        check(level in ("warning", "error"), f"level of the reload's result: {level}")
        contains(message, str(other.port), "the log")
        check(refused(("127.0.0.1", free)), "nothing is half done")
        check(in_clear(world, proxy.at("mx")).startswith("250 "), "the old policy")


# --- certificates -----------------------------------------------------------------------------------------

def shown(address, **options):
    """The server certificate that a new session sees, in DER."""
    tls = context(**options)
    with Client(address) as client:
        client.open(tls)
        octets = client.tls.getpeercert(binary_form=True)
        client.quit()
        return octets


def own_certificates(world, name):
    """A folder with certificates that the case may replace; (folder, layout's list)."""
    folder = world.folder / name
    shutil.copytree(world.certs, folder)
    return folder, [{"cert": folder / f"{kind}.pem", "key": folder / f"{kind}.key"} for kind in ("ecdsa", "rsa")]


@case
def new_server_certificates(world):  # PROTOCOL 47
    folder, files = own_certificates(world, "rolling")
    layout = simple(world)
    layout.tls["certificates"] = files
    with world.configured(layout) as proxy:
        address = proxy.at("mx")
        before = [shown(address, ciphers=suites, highest=ssl.TLSVersion.TLSv1_2) for suites in ("ECDHE+aECDSA", "ECDHE+aRSA")]
        with greet(world, address, "no certificate") as running:
            code, output, errors = run([ROOT / "tools/make-certs", world.folder / "fresh-certs", "mx.example.test"])
            equal(code, 0, f"tools/make-certs: {output}{errors}")
            (folder / "ecdsa.key").write_bytes((world.folder / "fresh-certs/ecdsa.key").read_bytes())
            level, message = proxy.reload()  # the key of one, the certificate of the other
            check(level in ("warning", "error") and "ecdsa" in message, f"a mismatched pair: {level} {message}")
            equal([shown(address, ciphers=suites, highest=ssl.TLSVersion.TLSv1_2) for suites in ("ECDHE+aECDSA", "ECDHE+aRSA")],
                  before, "certificates after a reload that failed")
            for name in ("ecdsa.pem", "ecdsa.key", "rsa.pem", "rsa.key"):
                (folder / name).write_bytes((world.folder / "fresh-certs" / name).read_bytes())
            reloaded(proxy)
            after = [shown(address, ciphers=suites, highest=ssl.TLSVersion.TLSv1_2) for suites in ("ECDHE+aECDSA", "ECDHE+aRSA")]
            check(not set(before) & set(after) and len(set(after)) == 2, "new sessions see the new certificates")
            shown(address, ca=world.folder / "fresh-certs/ca.pem")  # and they verify
            identifier, content = mail()
            equal(running.message(content).code, 250, "the session from before")
            running.quit()
        world.sink.message(identifier.encode())


@case
def certificates_given_by_flags(world):
    folder, _ = own_certificates(world, "rolling-flags")
    with world.private(world.sink.port, cert=folder / "ecdsa.pem", key=folder / "ecdsa.key") as proxy:
        before = shown(proxy.address)
        run([ROOT / "tools/make-certs", world.folder / "flag-certs", "mx.example.test"])
        for name in ("ecdsa.pem", "ecdsa.key"):
            (folder / name).write_bytes((world.folder / "flag-certs" / name).read_bytes())
        proxy.process.signal(signal.SIGHUP)
        eventually(lambda: shown(proxy.address) != before, "new sessions see the new certificate")


# --- settings that need a restart -------------------------------------------------------------------------

@each(("shards", 1, 2), ("sessions_max", 100, 200), ("log_format", "json", "text"), ("log_level", "info", "debug"))
def what_needs_a_restart_is_named(world, variant):
    name, now, then = variant
    with world.configured(simple(world, **{name: now})) as proxy:
        next_layout = proxy.layout.copy().route("mx", tls="encrypt")
        next_layout.tuning[name] = then
        reloaded(proxy, next_layout)
        lines = [event["message"] for event in proxy.events("reload")]
        check(any(name in line and "restart" in line for line in lines), f"{name} is named in {lines}")
        equal(in_clear(world, proxy.at("mx")), TLS_FIRST, "the rest has changed")


# --- under load -------------------------------------------------------------------------------------------

class Load:
    """Threads that send messages, each in a session of its own, until told to stop."""

    def __init__(self, world, addresses, threads=3):
        self.accepted, self.errors, self.stopping = [], [], threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(world, addresses[number % len(addresses)], number))
                         for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self, world, address, number):
        tls = context()
        while not self.stopping.is_set():
            identifier, content = mail(f"thread {number}\r\n".encode() * 50)
            identifier_octets = f"{identifier}-{number}".encode()
            content = content.replace(identifier.encode(), identifier_octets)
            try:
                with Client(address) as client:
                    client.open(tls)
                    for _ in range(2):
                        reply = client.message(content)
                        if reply.code != 250:
                            raise Failure(f"reply to the final dot: {reply}")
                    self.accepted += [identifier_octets] * 2
                    client.quit()
            except Exception as error:  # whatever happens to a client is what the case is about
                self.errors.append(f"{type(error).__name__}: {error}")

    def stop(self):
        self.stopping.set()
        for thread in self._threads:
            thread.join()


def descriptors(proxy):
    return len(os.listdir(f"/proc/{proxy.process.pid}/fd"))


@each(1, 2)
def one_hundred_reloads_under_load(world, shards):
    with world.private_sink() as sink, world.configured(simple(world, sink.port, shards=shards)) as proxy:
        other = proxy.layout.copy().route("mx", tls="encrypt")
        other.partner("fabrikam", sender_domains=["fabrikam.example"], tls="verify")
        layouts = [other, proxy.layout]
        for layout in layouts:  # whatever is opened once has been opened
            reloaded(proxy, layout)
        before = descriptors(proxy)
        load = Load(world, [proxy.at("mx")])
        try:
            eventually(lambda: load.accepted or load.errors, "the load")
            for number in range(100):
                reloaded(proxy, layouts[number % 2])
        finally:
            load.stop()
        equal(load.errors[:3], [], "what went wrong for clients")
        check(len(load.accepted) > 10, f"there was load: {len(load.accepted)} messages")
        stored = b"".join(sink.contents())
        lost = [identifier for identifier in load.accepted if identifier not in stored]
        equal((len(sink.messages()), lost[:3]), (len(load.accepted), []), "messages stored, and lost")
        eventually(lambda: descriptors(proxy) <= before, f"descriptors are given back: {descriptors(proxy)} of {before}")
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")


@each(1, 2)
def the_load_generator_sees_no_reload(world, shards):
    """More pressure than threads of Python give, with resumption; it counts what fails by itself."""
    with world.private_sink() as sink, world.configured(simple(world, sink.port, shards=shards)) as proxy:
        other = proxy.layout.copy().route("second", tls="encrypt").partner("b", sender_domains=["b.example"], tls="verify")
        layouts, results = [other, proxy.layout], []
        load = threading.Thread(target=lambda: results.append(run(
            [world.load_path, f"--target=127.0.0.1:{proxy.at('mx')[1]}", "--tls=starttls", "--connections=8", "--total=2000",
             "--messages=2", "--size=2048", "--resumption=on", "--json"], seconds=100)))
        load.start()
        reloads = 0
        while load.is_alive():
            reloaded(proxy, layouts[reloads % 2])
            reloads += 1
        load.join()
        code, output, errors = results[0]
        equal(code, 0, f"exit code of ringpost-load: {output}{errors}")
        check(reloads >= 3, f"reloads meanwhile: {reloads}")
        equal(len(sink.messages()), 4000, "messages stored")


@case
def a_volley_of_sighups(world):
    with world.configured(simple(world)) as proxy:
        with greet(world, proxy.at("mx"), "no TLS") as running:
            for _ in range(200):
                proxy.process.signal(signal.SIGHUP)
            reloaded(proxy, proxy.layout.copy().route("mx", tls="encrypt"))
            eventually(lambda: in_clear(world, proxy.at("mx")) == TLS_FIRST, "the last one counts")
            equal(mail_from(running, "a@x.example"), TLS_FIRST, "the running session")
            running.quit()
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")


@case
def sigterm_drains_sessions_of_old_configurations(world):
    identifier, content = mail()
    with world.configured(simple(world, drain_timeout="20s")) as proxy:
        with greet(world, proxy.at("mx"), "no certificate") as busy:
            busy.envelope()
            busy.expect("DATA", 354)
            for level in ("encrypt", "may"):
                reloaded(proxy, proxy.layout.copy().route("mx", tls=level))
            proxy.terminate()
            eventually(lambda: refused(proxy.at("mx")), "no new connection is accepted")
            busy.send(content + b".\r\n")
            equal(busy.reply().code, 250, "reply to the final dot")
            busy.rest()
        equal(proxy.process.wait(), 0, "exit code")
    world.sink.message(identifier.encode())
