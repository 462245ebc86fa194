# SPDX-License-Identifier: GPL-3.0-or-later
"""A route on which mail leaves, by a unix socket: real clients, several shards, reloads, a successor, and what else may
stand at its path."""

import itertools
import os
import signal
import smtplib
import socket
import stat

from cases.clients import program
from harness.case import Skip, case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.meter import status
from harness.partner import Partner
from harness.process import run
from harness.ringpost import refuse
from harness.smtp import Client, mail
from harness.succession import Succession, gone

_numbers = itertools.count(1)
ME = f"uid:{os.getuid()}"
NOBODY = 65534


def socket_path(world):
    return str(world.folder / f"out-{next(_numbers)}.sock")


def layout_of(world, path, partner=None, port=None, **tuning):
    """`path`: of the socket, or several. `port`: of a partner who need not be there."""
    paths = [path] if isinstance(path, str) else path
    upstream = f"127.0.0.1:{partner.port if partner else port or world.closed_port()}"
    trust = {"tls": "trusted", "ca": world.server_pki.ca_a} if partner else {"tls": "encrypt"}
    return Layout(world, None, **tuning).egress("partner", upstream, listen=[f"unix:{one}" for one in paths], **trust)


def partner_of(world):
    return Partner(world.server_pki.server_context("right"))


class UnixSmtp(smtplib.SMTP):
    """smtplib as it is, but for how it connects."""

    def _get_socket(self, host, port, timeout):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(host)
        return connection


def greeted(path):
    """Whether somebody connects there and hears ringpost."""
    with Client(path) as client:
        contains(client.greeting().raw, b"mx.example.test", "the greeting")
        client.quit()


def refuses(path):
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return True
    return False


@case
def real_clients(world):
    """Both hand over mail as they do by TCP; the log says which user it was."""
    path = socket_path(world)
    with partner_of(world) as partner, world.configured(layout_of(world, path, partner)) as proxy:
        identifier, content = mail()
        client = UnixSmtp(timeout=20)
        client._host = "localhost"  # of the certificate, which nobody looks at here
        equal(client.connect(path, 25)[0], 220, "the greeting's code")
        client.sendmail("alice@client.example.test", ["bob@partner.example"], content)
        client.quit()
        other, _ = mail()
        code, output, errors = run([
            program("swaks"), "--socket", path, "--from", "alice@client.example.test", "--to", "bob@partner.example",
            "--helo", "client.example.test", "--timeout", "20", "--pipeline", "--header", f"Message-ID: <{other}@swaks>",
            "--data", "From: <alice@client.example.test>\n%NEW_HEADERS%\n\nswaks\n"])
        equal(code, 0, f"swaks: {output}{errors}")
        stored = [message[3] for message in eventually(
            lambda: partner.messages if len(partner.messages) == 2 else None, "both messages at the partner")]
        for part in (identifier, other):
            check(any(part.encode() in one for one in stored), f"{part} in {stored}")
        check(all(message[0] for message in partner.messages), "both came in TLS")
        records = eventually(lambda: proxy.records() if len(proxy.records()) == 2 else None, "both session lines")
        for record in records:
            equal((record["client"], record["server"], record["direction"], record["messages"]),
                  (ME, f"unix:{path}", "out", 1), f"the session line {record}")
        contains(proxy.log, f'egress \\"partner\\": unix:{path} -> ', "the log at the start")


@case
def both_shards_serve(world):
    """The kernel wakes who has waited longest; a socket whose first shard takes all would leave it the limit of one."""
    path = socket_path(world)
    with world.configured(layout_of(world, path, shards=2, sessions_max=200)) as proxy:
        clients = []
        for _ in range(60):
            clients.append(Client(path))
            clients[-1].greeting()
        shares = [line["sessions"] for line in status(proxy).values()]
        equal(sum(shares), 60, f"sessions, of which the shards have {shares}")
        check(min(shares) >= 15, f"the shards have {shares}")
        for client in clients:
            client.quit()
        for _ in range(300):
            greeted(path)
        eventually(lambda: len(proxy.records()) == 360, "the session lines")


@case
def over_a_reload(world):
    """What stays is the same socket, which refuses nobody meanwhile; what is new comes, and what is gone is removed."""
    path, other, taken = socket_path(world), socket_path(world), socket_path(world)
    port = world.closed_port()  # the same one, because the sandbox lets a reload name no other
    with world.configured(layout_of(world, path, port=port, shards=2)) as proxy:
        same = os.stat(path)
        with Client(path) as before:
            before.greeting()
            for paths in (path, [path, other], [path, other], path):
                waiting = [Client(path) for _ in range(20)]
                equal(proxy.reload(layout_of(world, paths, port=port, shards=2))[0], "info", f"the reload; {proxy.log}")
                for client in waiting:
                    client.greeting()
                    client.quit()
                equal(os.stat(path).st_ino, same.st_ino, "the socket's inode")
                for _ in range(8):  # to both shards
                    greeted(path)
                if other in paths:
                    greeted(other)
                else:
                    check(not os.path.exists(other), f"{other} is gone")
            with open(taken, "w", encoding="utf-8"):
                pass
            level, message = proxy.reload(layout_of(world, [other, taken], port=port, shards=2))
            equal(level, "error", f"the level of {message}")
            contains(message, f"{taken} is there already and is no socket", "the reload's line")
            check(not os.path.exists(other), "nothing is left of the reload that was refused")
            greeted(path)
            before.quit()
        equal(proxy.reload(layout_of(world, other, port=port, shards=2))[0], "info", "the last reload")
        check(not os.path.exists(path), "the first socket is gone")
        greeted(other)
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
        check(not os.path.exists(other), "the socket is removed at the end")


@case
def a_successor_starts_while_the_old_one_drains(world):
    path = socket_path(world)
    with partner_of(world) as partner:
        layout = layout_of(world, path, partner, shards=2, drain_timeout="60s")
        with world.configured(layout) as old, Client(path) as before:
            before.open()
            before.envelope(recipients=("bob@partner.example",))
            before.expect("DATA", 354)
            old.terminate()
            eventually(lambda: refuses(path), f"nobody listens on {path}")
            with world.configured(layout) as successor:
                greeted(path)
                identifier, content = mail()
                before.send(content + b".\r\n")
                equal(before.reply().code, 250, "reply to the final dot of the old session")
                equal(old.process.wait(), 0, "exit code of the old one")
                greeted(path)  # whose end has not taken the socket away
                successor.terminate()
                equal(successor.process.wait(), 0, "exit code of the successor")
            check(not os.path.exists(path), "the successor's socket is gone")
        check(any(identifier.encode() in message[3] for message in partner.messages), "the message is at the partner")


@case
def a_stale_socket(world):
    path = socket_path(world)
    with world.configured(layout_of(world, path)) as killed:
        killed.process.signal(signal.SIGKILL)
        killed.process.wait()
    check(stat.S_ISSOCK(os.stat(path).st_mode), "a stale socket")
    with world.configured(layout_of(world, path)):
        greeted(path)
    check(not os.path.exists(path), "the socket is removed at the end")


def flags(path):
    return [f"--egress_listen=unix:{path}", "--egress_upstream=127.0.0.1:2500", "--egress_tls=encrypt", "--shards=1"]


def refused(world, path, *parts):
    """By a start and by a check of the configuration."""
    for words in ([], ["--check_config"]):
        code, said = refuse(world, *flags(path), *words)
        equal(code, 1, f"exit code; it said {said!r}")
        for part in parts:
            contains(said, part, "the sentence")


@case
def what_else_may_stand_there(world):
    path = socket_path(world)
    with world.configured(layout_of(world, path)) as proxy:
        code, said = refuse(world, *flags(path))
        equal(code, 1, f"exit code of a second ringpost; it said {said!r}")
        contains(said, f"another program answers on unix:{path}", "the sentence")
        code, said = refuse(world, *flags(path), "--check_config")
        equal(code, 0, f"exit code of a check beside it; it said {said!r}")
        contains(said, f"(pid {proxy.process.pid}) has unix:{path} already", "what it said")
        greeted(path)
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(path)
        foreign.listen()
        refused(world, path, f"another program answers on unix:{path}; stop it or choose another path for the listening socket")
    os.unlink(path)
    with open(path, "w", encoding="utf-8"):
        pass
    refused(world, path, f"{path} is there already and is no socket")
    check(os.path.isfile(path), "the file in the way is still there")
    refused(world, f"{world.folder}/nowhere/out", "the folder of the listening socket", "does not exist; create it")


def as_nobody(program_text):
    """Python as a user without any group: (exit code, what it said)."""
    code, output, errors = run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "python3", "-c", program_text])
    return code, output + errors


@case
def who_may_connect(world):
    """Its owner and its group, whatever the umask is. Another user's session is that user's."""
    if os.geteuid() != 0:
        raise Skip("wants to run as root, to become somebody else")
    path = socket_path(world)
    connect = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({path!r}); print(s.recv(99))"
    for umask in (0o000, 0o077):
        with world.configured(layout_of(world, path), limits=lambda umask=umask: os.umask(umask)) as proxy:
            equal(stat.S_IMODE(os.stat(path).st_mode), 0o660, f"mode of the socket with umask {umask:o}")
            code, said = as_nobody(connect)
            check(code != 0, f"a stranger connects: {said}")
            contains(said, "PermissionError", "what the stranger sees")
            os.chown(path, -1, NOBODY)
            code, said = as_nobody(connect)
            equal(code, 0, f"exit code of a member of the group, who sees {said}")
            contains(said, "220 mx.example.test", "what the member of the group sees")
            record = eventually(proxy.records, "the session line")[0]
            equal(record["client"], f"uid:{NOBODY}", "the client in the log")


@case
def over_an_upgrade(world):
    """SIGUSR1: the new process has the same socket and file, and removes it at its own end, with two shards and none refused."""
    path = socket_path(world)
    with world.configured(layout_of(world, path, shards=2)) as proxy, Succession(proxy) as line:
        greeted(path)
        before = os.stat(path).st_ino
        gone(line.upgrade())
        equal(os.stat(path).st_ino, before, "the file")
        for _ in range(4):
            greeted(path)
        line.end()
        check(not os.path.exists(path), "the file is removed at the end of the last")


@each("egress", "policy service")
def an_upgrade_that_fails_leaves_the_socket(world, whose):
    """The new process has the socket before it knows whether it can serve. Only one that serves may remove the file."""
    path = socket_path(world)
    tuning = {} if whose == "egress" else {"policy_service": f"unix:{path}.policy"}
    layout = layout_of(world, path, port=world.closed_port(), **tuning)
    watched = path if whose == "egress" else f"{path}.policy"
    with world.configured(layout) as proxy, Succession(proxy) as line:
        broken = [layout.text() + "\n[[ingress]]\nnonsense = 1\n"]  # is refused when it is read
        if whose == "egress":  # and one that has the socket by then
            broken.append(f'policy_service = "unix:{world.folder}/nowhere/policy"\n' + layout.text())
        for text in broken:
            proxy.path.write_text(text, encoding="utf-8")
            line.ask("before it was ready")
            check(stat.S_ISSOCK(os.stat(watched).st_mode), f"{watched} is there")
        greeted(path)
        proxy.path.write_text(layout.text(), encoding="utf-8")
        gone(line.upgrade())
        check(stat.S_ISSOCK(os.stat(watched).st_mode), f"{watched} is there behind an upgrade")
        greeted(path)
        line.end()
        check(not os.path.exists(watched), "the last removes it")


@case
def a_socket_that_the_new_one_does_not_want(world):
    path, other = socket_path(world), socket_path(world)
    port = world.closed_port()
    with world.configured(layout_of(world, [path, other], port=port)) as proxy, Succession(proxy) as line:
        proxy.path.write_text(layout_of(world, path, port=port).text(), encoding="utf-8")
        gone(line.upgrade())
        greeted(path)
        check(not os.path.exists(other), "its file is removed")
        line.end()


@case
def a_check_beside_a_successor(world):
    """Who made the socket has ended: the kernel names who has it now."""
    path = socket_path(world)
    with world.configured(layout_of(world, path)) as proxy, Succession(proxy) as line:
        gone(line.upgrade())
        equal(proxy.process.wait(), 0, "exit code of the first")
        code, _, said = run([world.ringpost_path, f"--config={proxy.path}", "--check_config"])
        equal(code, 0, f"exit code; {said}")
        contains(said, f"(pid {line.pid}) has unix:{path} already", "what it says")
        line.end()
