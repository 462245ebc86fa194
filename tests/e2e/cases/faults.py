# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator meets: dead backends, vanished clients, time-outs, limits, the end of the process."""

import resource
import signal
import socket
import time

from harness.backend import CLOSE, RESET, SILENT, Backend
from harness.case import Failure, case, check, contains, each, equal, eventually
from harness.smtp import Client, mail


def last_words(client):
    """Everything until the end; at most one reply, and that is a 421."""
    answer = client.rest()
    check(not answer or answer.startswith(b"421 ") and answer.count(b"\r\n") == 1, f"a 421 or a close: {answer!r}")
    return answer


# --- the backend ------------------------------------------------------------------------------------------

@each("tcp", "unix")
def backend_is_down(world, kind):  # PROTOCOL 6
    upstream = f"127.0.0.1:{world.closed_port()}" if kind == "tcp" else f"unix:{world.folder}/nobody-listens"
    with world.private(upstream) as proxy:
        for tls in (None, world.tls):
            with Client(proxy.implicit_address if tls else proxy.address, implicit=tls) as client:
                contains(client.expect(None, 421).raw, b"421 4.3.2 mx.example.test ", "the greeting")
                equal(client.rest(), b"", "octets after it")
            session = proxy.record(client.local)
            equal(session["reason"], "backend_connect", "the session line's reason")
            check("upstream" in session, f"the session line names its upstream: {session}")
            eventually(lambda: any("warning" in line and upstream in line for line in proxy.log.splitlines()),
                       "a warning that names the upstream")


@case
def backend_comes_back(world):
    port = world.closed_port()
    with world.private(port) as proxy:
        with Client(proxy.address) as client:
            client.expect(None, 421)
        with socket.create_server(("127.0.0.1", port)):  # the same port, now with somebody behind it
            pass
        with world.private_sink(listen=f"127.0.0.1:{port}") as sink:
            identifier, content = mail()
            with Client(proxy.address) as client:
                client.open(world.tls)
                equal(client.message(content).code, 250, "reply to the final dot")
                client.quit()
            sink.message(identifier.encode())


@each("closes", "XCLIENT refused", "XCLIENT not offered", "no PROXY port")
def backend_refuses_the_identity(world, how):  # DESIGN: never continue as loopback
    if how == "closes":
        backend, identity = Backend(refuse_identity=True), "proxy-v2"
    elif how == "XCLIENT refused":
        backend, identity = Backend({"XCLIENT": b"550 5.7.0 no\r\n"}, identity="xclient"), "xclient"
    elif how == "XCLIENT not offered":
        backend, identity = Backend(identity="none"), "xclient"
    else:  # it takes the header for commands and believes that ringpost itself is the client
        backend, identity = None, "proxy-v2"
    port = backend.port if backend else world.mx.plain_port
    with world.private(port, backend_identity=identity) as proxy:
        with Client(proxy.address, source="127.0.0.3") as client:
            if backend:
                contains(client.expect(None, 421).raw, b"421 4.3.2 ", "the greeting")
                equal(client.rest(), b"", "octets after it")
                equal(proxy.record(client.local)["reason"], "backend_identity", "the session line's reason")
                eventually(lambda: any("warning" in line and f"127.0.0.1:{port}" in line
                                       for line in proxy.log.splitlines()), "a warning that names the upstream")
            else:
                try:
                    client.send(b"EHLO a\r\nMAIL FROM:<a@client.example.test>\r\nRCPT TO:<eve@elsewhere.example.net>\r\n"
                                b"DATA\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    pass
                answer = client.rest()
                check(b"\r\n354 " not in answer and b"2.1.5" not in answer, f"relaying through a wrong port: {answer!r}")
    if backend:
        backend.stop()


@each(("at connect", {"greeting": CLOSE}), ("at connect, reset", {"greeting": RESET}), ("at EHLO", {"EHLO": CLOSE}),
      ("at MAIL", {"MAIL": CLOSE}), ("at RCPT", {"RCPT": RESET}), ("at DATA", {"DATA": CLOSE}), ("after the dot", {".": CLOSE}),
      ("after the dot, reset", {".": RESET}), ("421 at MAIL", {"MAIL": b"421 4.3.2 going down\r\n"}),
      ("421 after the dot", {".": b"421 4.3.2 going down\r\n"}), named=True)
def backend_dies(world, variant):  # PROTOCOL 6, 7, 22
    _, replies = variant
    with Backend(replies) as backend, world.private(backend.port) as proxy:
        for tls in (None, world.tls):
            with Client(proxy.address) as client:
                steps = [b"EHLO a\r\n", b"STARTTLS\r\n" if tls else b"", b"EHLO a\r\n", b"MAIL FROM:<a@b.test>\r\n",
                         b"RCPT TO:<bob@example.test>\r\n", b"DATA\r\n", mail()[1] + b".\r\n"]
                reply = client.reply()
                for step in steps:
                    if reply.code == 421:
                        break
                    if step:
                        client.send(step)
                        reply = client.reply()
                    if step == b"STARTTLS\r\n":
                        client.handshake(tls)
                equal(reply.code, 421, "the last reply")
                equal(client.rest(), b"", "octets after it")
        equal(backend.messages, [], "stored messages")


@each("clear", "starttls")
def backend_dies_in_data(world, port):
    with Backend(cut=5000) as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls if port == "starttls" else None)
            client.envelope()
            client.expect("DATA", 354)
            try:
                client.send(mail(b"x" * 70 + b"\r\n" * 500)[1] * 20 + b"\r\n.\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass
            last_words(client)
        equal(backend.messages, [], "stored messages")
        check(proxy.record(client.local)["reason"] in ("backend_reset", "backend_eof"), "the session line's reason")


@case
def backend_says_554_instead_of_a_greeting(world):
    with Backend({"greeting": b"554 5.7.1 no service\r\n"}) as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            contains(client.expect(None, 554).raw, b"no service", "the backend's own words")


# --- the client -------------------------------------------------------------------------------------------

@case
def client_vanishes_at_any_point(world):
    dialogue = [b"EHLO a\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<bob@example.test>\r\n", b"DATA\r\n",
                mail()[1], b"half a line"]
    with Backend() as backend, world.private(backend.port) as proxy:
        for tls in (None, world.tls):
            for steps in range(len(dialogue) + 1):
                for reset in (False, True):
                    with Client(proxy.implicit_address if tls else proxy.address, implicit=tls) as client:
                        client.greeting()
                        for step in dialogue[:steps]:
                            client.send(step)
                            if step.endswith(b"\r\n") and len(step) < 60:
                                client.reply()
                        client.drop(reset)
                    proxy.record(client.local)
        backend.all_ended()
        equal(backend.messages, [], "stored messages")


@case
def client_closes_its_side_after_quit(world):
    identifier, content = mail()
    with Client(world.sink_proxy().address) as client:
        client.open()
        client.envelope()
        client.expect("DATA", 354)
        client.send(content + b".\r\nQUIT\r\n")
        client.socket.shutdown(socket.SHUT_WR)
        equal([client.reply().code, client.reply().code], [250, 221], "replies after the client's FIN")
        equal(client.rest(), b"", "octets after the 221")
    world.sink.message(identifier.encode())


# --- PROTOCOL 5: deadlines --------------------------------------------------------------------------------

@each("after the greeting", "half a command", "octet by octet", "inside tls")
def command_timeout(world, how):
    with world.private(world.sink.port, command_timeout="1s") as proxy:
        with Client(proxy.address) as client:
            client.greeting()
            if how == "inside tls":
                client.expect("EHLO a", 250)
                client.starttls(world.tls)
            if how == "half a command":
                client.send(b"EHLO a")
            if how == "octet by octet":  # parts of a command do not move the deadline
                client.socket.settimeout(0.1)
                for _ in range(300):
                    try:
                        client.send(b"A")
                        if client.socket.recv(1, socket.MSG_PEEK) is not None:
                            break
                    except socket.timeout:
                        continue
                    except OSError:
                        break
                else:
                    raise Failure("300 octets, one each 0.1 s, and the deadline has not come")
                client.socket.settimeout(30)
            answer = client.rest()
            check(answer.startswith(b"421 4.4.2 mx.example.test "), f"421 4.4.2: {answer!r}")
        equal(proxy.record(client.local)["reason"], "client_timeout", "the session line's reason")


@each("starttls", "half a hello")
def handshake_timeout(world, how):
    with world.private(world.sink.port, handshake_timeout="1s") as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.expect("STARTTLS", 220)
            if how == "half a hello":
                client.send(b"\x16\3\1\2\0\1\0\1\xfc\3\3")
            answer = client.rest()
            check(not answer or answer[0] == 21, f"no reply in clear: {answer!r}")
        equal(proxy.record(client.local)["reason"], "handshake_timeout", "the session line's reason")


@each("silence", "drops")
def data_timeout(world, how):
    with Backend() as backend, world.private(backend.port, data_timeout="1s") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.envelope()
            client.expect("DATA", 354)
            client.send(mail()[1] + b"half")
            if how == "drops":  # a few octets at a time: under 500 octets a second
                for _ in range(200):
                    try:
                        client.send(b"x")
                        client.socket.settimeout(0.1)
                        if not client._more() or client.received:
                            break
                    except Failure:
                        continue
                    except OSError:
                        break
                else:
                    raise Failure("200 octets, one each 0.1 s, and no deadline has come")
                client.socket.settimeout(30)
            last_words(client)
        backend.all_ended()
        equal(backend.messages, [], "stored messages")
        equal(proxy.record(client.local)["reason"], "client_timeout", "the session line's reason")


@case
def a_peer_that_never_reads(world):
    with Backend({"NOOP": b"250 " + b"x" * 400 + b"\r\n"}) as backend, world.private(backend.port) as proxy:
        with Client(proxy.address) as client:
            client.open()
            client.socket.settimeout(0.5)
            sent = 0
            try:
                while sent < 200_000_000:
                    sent += client.socket.send(b"NOOP\r\n" * 10_000)
            except (socket.timeout, ConnectionResetError, BrokenPipeError):
                pass
            check(sent < 100_000_000, "back-pressure reaches the client")
            with open(f"/proc/{proxy.process.pid}/statm", encoding="ascii") as statm:
                check(int(statm.read().split()[1]) * 4096 < 300_000_000, "memory stays bounded")
            with Client(proxy.address) as other:  # others are unaffected
                other.open(world.tls)
                equal(other.message(mail()[1]).code, 250, "another client's message")
                other.quit()


@case
def slow_clients_do_not_hold_others(world):
    proxy = world.sink_proxy()
    slow = [Client(proxy.address) for _ in range(50)]
    try:
        for client in slow:
            client.greeting()
            client.send(b"EH")
        for _ in range(5):
            with Client(proxy.address) as client:
                client.open(world.tls)
                equal(client.message(mail()[1]).code, 250, "reply to the final dot")
                client.quit()
    finally:
        for client in slow:
            client.drop()


# --- limits -----------------------------------------------------------------------------------------------

@case
def sessions_max(world):
    with world.private(world.sink.port, sessions_max=4) as proxy:
        held = [Client(proxy.address) for _ in range(4)]
        for client in held:
            client.greeting()
        with Client(proxy.address) as client:
            contains(client.expect(None, 421).raw, b"mx.example.test", "the fifth session's greeting")
            equal(client.rest(), b"", "octets after it")
        held.pop().drop()
        eventually(lambda: greets(proxy), "a place after one has left")
        for client in held:
            client.drop()


def greets(proxy):
    with Client(proxy.address) as client:
        return client.reply().code == 220


@case
def out_of_descriptors(world):
    limit = 100
    with world.private(world.sink.port, sessions_max=1000) as proxy:
        # At start the sessions would have been made to fit; so the limit comes later.
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        served = [Client(proxy.address) for _ in range(10)]
        for client in served:
            client.open()
        waiting = []
        try:
            for _ in range(limit):
                waiting.append(Client(proxy.address))
            before, started = cpu_seconds(proxy), time.monotonic()
            for client in served:  # they go on as if nothing were
                client.expect("NOOP", 250)
            try:
                waiting[-1].socket.settimeout(1)
                waiting[-1].rest()  # in the backlog, or told 421
            except Failure:
                pass
            spent, elapsed = cpu_seconds(proxy) - before, time.monotonic() - started
            check(proxy.process.running(), "ringpost runs on")
            check(spent < 0.2 + 0.5 * elapsed, f"no spin: {spent} s of CPU in {elapsed} s")
        finally:
            for client in served + waiting:
                client.drop()
        eventually(lambda: serves(world, proxy), "service after they have left", 30)


def serves(world, proxy):
    try:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()
            return True
    except (Failure, OSError):
        return False


def cpu_seconds(proxy):
    with open(f"/proc/{proxy.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@case
def an_idle_proxy_does_nothing(world):
    proxy = world.sink_proxy()
    with Client(proxy.address) as client:
        client.open(world.tls)
        before = cpu_seconds(proxy)
        try:
            client.socket.settimeout(1)
            client._more()
        except Failure:
            pass
        check(cpu_seconds(proxy) - before < 0.1, "an idle session costs no CPU")
        client.socket.settimeout(30)
        client.quit()


# --- the end of the process -------------------------------------------------------------------------------

@case
def sigterm_lets_a_transaction_finish(world):
    identifier, content = mail()
    with world.private(world.sink.port, drain_timeout="20s") as proxy:
        with Client(proxy.address) as busy, Client(proxy.address) as idle:
            busy.open(world.tls)
            busy.envelope()
            busy.expect("DATA", 354)
            idle.open()
            proxy.terminate()
            contains(idle.rest(), b"421 4.3.2 mx.example.test ", "what an idle client is told")
            eventually(lambda: refused(proxy.address), "no new connection is accepted")
            busy.send(content + b".\r\n")
            equal(busy.reply().code, 250, "reply to the final dot")
            contains(busy.rest(), b"421 4.3.2 ", "after the transaction")
        equal(proxy.process.wait(), 0, "exit code")
        equal(proxy.record(idle.local)["reason"], "drain", "the session line's reason")
    world.sink.message(identifier.encode())


def refused(address):
    try:
        with socket.create_connection(address, 5):
            return False
    except OSError:
        return True


@case
def sigterm_and_a_transaction_that_does_not_finish(world):
    with Backend() as backend, world.private(backend.port, drain_timeout="1s") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.envelope()
            client.expect("DATA", 354)
            client.send(b"half")
            proxy.terminate()
            last_words(client)
        equal(proxy.process.wait(), 0, "exit code")
        backend.all_ended()
        equal(backend.messages, [], "stored messages")


@case
def sigterm_with_nobody_there(world):
    with world.private(world.sink.port) as proxy:
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")


@case
def sigint_twice_ends_at_once(world):
    with Backend({"DATA": SILENT}) as backend, world.private(backend.port, drain_timeout="100s") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.envelope()
            client.send(b"DATA\r\n")
            eventually(lambda: b"DATA" in backend.raw, "the open transaction")
            proxy.process.signal(signal.SIGINT)
            eventually(lambda: refused(proxy.address), "no new connection is accepted")
            check(proxy.process.running(), "one SIGINT drains")
            proxy.process.signal(signal.SIGINT)
            equal(proxy.process.wait(20), 0, "exit code")
