# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGUSR1: a restart without loss. The new process gets the sockets, the old one lets its sessions finish."""

import json
import os
import pathlib
import shutil
import signal
import socket
import time

from cases.policy import greet
from cases.policy_service import Asker, layout_of, refuses, service_of
from cases.tls_tickets import s_client
from harness.case import case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.process import Process, free_port
from harness.smtp import Client, mail
from harness.succession import Succession, alive, gone


class Load:
    """ringpost-load until it is told to end."""

    def __init__(self, world, name, port, **flags):
        words = {"target": f"127.0.0.1:{port}", "connections": 8, "duration": "300s", "messages": 2, "size": 4096,
                 "tls": "starttls", **flags}
        self.process = Process(name, [world.load_path, *(f"--{key}={value}" for key, value in words.items()), "--json"],
                               world.folder)

    def end(self):
        """The figures; none of it may have failed."""
        self.process.signal(signal.SIGINT)
        code = self.process.wait(60)
        equal(code, 0, f"exit code of ringpost-load: {self.process.log}")
        return json.loads(self.process.log.splitlines()[-1])


UPGRADES = 5


@each(("one shard", 1, "starttls"), ("three shards, implicit TLS", 3, "implicit"), named=True)
def upgrades_under_load(world, variant):
    """No connection is refused, no session ended early, no message lost, and no process is left."""
    name, shards, tls = variant
    with world.private(world.sink.port, shards=shards, drain_timeout="60s") as proxy, Succession(proxy) as line:
        port = proxy.implicit_port if tls == "implicit" else proxy.port
        load = Load(world, f"load-{shards}", port, tls=tls, resumption="on")
        try:
            eventually(lambda: len(proxy.records()) > 10, "the first sessions")
            for _ in range(UPGRADES):
                old = line.upgrade()
                before = len(proxy.records())
                eventually(lambda before=before: len(proxy.records()) > before + 20, "sessions after it")
                gone(old)
            found = load.end()
        finally:
            load.process.stop()
        equal(proxy.process.wait(), 0, "exit code of the first")
        line.end()
        reasons = {record["reason"] for record in proxy.records()}
        equal(reasons - {"quit"}, set(), f"how sessions of {name} ended")
        messages = sum(record["messages"] for record in proxy.records())
        check(messages > 2 * 20 * UPGRADES, "there was a load")
        check(messages >= found["messages"], f"{messages} messages in the log, {found['messages']} sent")


@case
def sessions_of_the_old_one_go_on(world):
    """One in the middle of a message, and one that has not begun any."""
    identifier, content = mail()
    with world.private(world.sink.port, drain_timeout="60s") as proxy, Succession(proxy) as line:
        with Client(proxy.address) as busy, Client(proxy.address) as idle:
            busy.open(world.tls)
            busy.envelope()
            busy.expect("DATA", 354)
            idle.open(world.tls)
            old = line.upgrade()
            with Client(proxy.address) as client:
                client.open(world.tls)
                client.quit()
            busy.send(content + b".\r\n")
            equal(busy.reply().code, 250, "reply to the final dot")
            busy.quit()
            second, content = mail()
            equal(idle.message(content).code, 250, "the message of the one that was idle")
            check(alive(old), "the old one waits for it")
            idle.quit()
        equal(proxy.process.wait(), 0, "exit code")
        for stored in (identifier, second):
            world.sink.message(stored.encode())
        line.end()


@case
def sessions_that_never_end_are_drained(world):
    with world.private(world.sink.port, drain_timeout="1s") as proxy, Succession(proxy) as line:
        with Client(proxy.address) as idle:
            idle.open()
            line.upgrade()
            contains(idle.rest(), b"421 4.3.2 mx.example.test ", "what it is told")
        equal(proxy.process.wait(), 0, "exit code")
        line.end()


@case
def sigterm_to_an_old_one_ends_its_sessions(world):
    with world.private(world.sink.port, drain_timeout="100s") as proxy, Succession(proxy) as line:
        with Client(proxy.address) as idle:
            idle.open()
            line.upgrade()
            proxy.process.signal(signal.SIGUSR1)
            eventually(lambda: any("this one ends already" in message for message in line.events()), "the answer to SIGUSR1")
            proxy.terminate()
            contains(idle.rest(), b"421 4.3.2 mx.example.test ", "what it is told")
        equal(proxy.process.wait(), 0, "exit code")
        with Client(proxy.address) as client:
            client.open()
            client.quit()
        line.end()


def serves(proxy, address):
    with Client(address) as client:
        client.open()
        client.quit()
    check(proxy.process.running(), "the old one runs")


@case
def a_file_that_is_wrong(world):
    """The new one does not start: the old one goes on, and may be asked again."""
    layout = Layout(world, world.sink.port).route("mx", tls="may")
    with world.configured(layout) as proxy, Succession(proxy) as line:
        proxy.path.write_text(layout.text() + "\n[[ingress]]\nnonsense = 1\n")
        said = line.ask("before it was ready")
        contains(said, "ended with exit code 1 before it was ready; what it said itself stands above; this one goes on serving",
                 "the log")
        contains(proxy.log, "nonsense", "the new one's own line")
        serves(proxy, proxy.at("mx"))
        proxy.path.write_text(layout.text())
        gone(line.upgrade())
        equal(proxy.process.wait(), 0, "exit code")
        line.end()


@case
def the_program_at_the_same_path_is_what_starts(world):
    """First one that ends, then one that is none, then one that hangs, then the sound one: a new file each time."""
    program = world.folder / "upgraded-ringpost"
    shutil.copy(world.ringpost_path, program)

    def replace(text, mode=0o755):
        fresh = program.with_suffix(".new")
        fresh.write_text(text)
        fresh.chmod(mode)
        fresh.rename(program)
    with world.private(world.sink.port, program=program) as proxy, Succession(proxy) as line:
        replace("#!/bin/sh\nexit 7\n")
        line.ask("ended with exit code 7 before it was ready")
        replace("#!/bin/sh\nkill -SEGV $$\n")
        line.ask("ended by signal 11 (Segmentation fault) before it was ready")
        replace("nothing", mode=0o600)
        line.ask("ended with exit code 127 before it was ready")
        contains(proxy.log, f"ringpost: cannot execute {program}: Permission denied", "why")
        serves(proxy, proxy.address)
        shutil.copy(world.ringpost_path, program.with_suffix(".new"))
        program.with_suffix(".new").rename(program)
        gone(line.upgrade())
        equal(os.readlink(f"/proc/{line.pid}/exe"), str(program), "the program of the new one")
        line.end()


@case
def one_that_hangs_is_not_waited_for_by_sigterm(world):
    program, mark = world.folder / "hanging-ringpost", world.folder / "hanging.pid"
    shutil.copy(world.ringpost_path, program)
    with world.private(world.sink.port, program=program) as proxy, Succession(proxy) as line:
        fresh = program.with_suffix(".new")
        fresh.write_text(f"#!/bin/sh\necho $$ > {mark}\nexec sleep 1000\n")
        fresh.chmod(0o755)
        fresh.rename(program)
        line.ask("starting the program anew")
        hanging = int(eventually(lambda: mark.exists() and mark.read_text().strip(), "the one that hangs"))
        line.ask("a new one is being started already")
        serves(proxy, proxy.address)
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
        gone(hanging)


@case
def shards_and_listeners_change(world):
    layout = Layout(world, world.sink.port, shards=2).route("stays", tls="may").route("goes", tls="may")
    with world.configured(layout) as proxy, Succession(proxy) as line:
        for shards, name in ((4, "comes"), (1, "last")):
            after = layout.copy()
            after.tuning["shards"] = shards
            after.routes.pop("goes", None)
            after.route(name, tls="may")
            proxy.path.write_text(after.text())
            gone(line.upgrade())
            for route in ("stays", name):
                for _ in range(8):
                    with Client(("127.0.0.1", after.ports[route])) as client:
                        client.open()
                        client.quit()
        check(refuses(proxy.at("goes")), "nobody listens for the route that is gone")
        contains(proxy.log, f"was started with a socket for 127.0.0.1:{layout.ports['goes']}, which the configuration does not name",
                 "the log")
        line.end()


@each("port", "unix")
def the_policy_service_is_handed_over(world, kind):
    """Each answers about its own sessions; there is never a moment without the socket, and the file goes with the last."""
    service = f"127.0.0.1:{free_port()}" if kind == "port" else f"unix:{world.folder}/handed.sock"
    with world.configured(layout_of(world, world.sink.port, service, drain_timeout="60s")) as old, Succession(old) as line:
        with Asker(service_of(old), old.at("mx")) as asker, greet(world, old.at("mx"), "right") as before:
            before.envelope("alice@client.example.test")
            check(asker.ask(before.local).startswith("PREPEND "), "about a session, before")
            line.upgrade()
            with greet(world, old.at("mx"), "right") as after:
                after.expect("MAIL FROM:<alice@client.example.test>", 250)
                check(asker.ask(before.local).startswith("PREPEND "), "the old one's answer about its own session")
                with Asker(service_of(old), old.at("mx")) as another:
                    check(another.ask(after.local).startswith("PREPEND "), "the new one's answer about its own session")
                asker.send(client_address=after.local[0], client_port=after.local[1], sender="alice@client.example.test")
                equal(asker.file.read(), b"", "the old one's answer about the new one's session")
                before.drop()
                equal(old.process.wait(), 0, "exit code of the old one")
                with Asker(service_of(old), old.at("mx")) as another:
                    check(another.ask(after.local).startswith("PREPEND "), "the new one's answer afterwards")
                after.drop()
            line.end()
    if kind == "unix":
        check(not pathlib.Path(service_of(old)).exists(), "the file is removed at the end")


@each("random", "file")
def tickets_are_taken_by_the_new_one(world, keys):
    flags = {}
    if keys == "file":
        path = world.folder / "upgrade-ticket.key"
        path.write_bytes(os.urandom(80))
        path.chmod(0o600)
        flags["ticket_key_file"] = path
    session = world.folder / f"upgrade-{keys}.pem"
    with world.private(world.sink.port, **flags) as proxy, Succession(proxy) as line:
        for version in ("tls1_3", "tls1_2"):
            words = ["-starttls", "smtp", "-ign_eof", f"-{version}"]
            s_client(proxy.port, [*words, "-sess_out", session], "EHLO a\r\nQUIT\r\n")
            gone(line.upgrade())
            said = s_client(proxy.port, [*words, "-sess_in", session], "EHLO a\r\nQUIT\r\n")
            contains(said, "\nReused, TLS", "s_client with a ticket of the old one")
        line.end()


@case
def a_socket_unit_and_an_upgrade(world):
    """The one socket that systemd gave is shared by all shards, of both processes."""
    with world.private(world.sink.port, shards=2, sockets=lambda first, second: [first]) as proxy, Succession(proxy) as line:
        for _ in range(2):
            gone(line.upgrade())
            for _ in range(6):
                with Client(proxy.address) as client:
                    client.open()
                    client.quit()
        line.end()


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@case
def the_helper_ends_with_its_server_only(world):
    with world.private(world.sink.port) as proxy:
        helper, = children(proxy.process.pid)
        equal(pathlib.Path(f"/proc/{helper}/comm").read_text(), "ringpost-start\n", "its name")
        check(len(os.listdir(f"/proc/{helper}/fd")) == 4, "it has its three streams and one socket")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(helper, number)
        with Succession(proxy) as line:
            gone(line.upgrade())
            gone(helper)
            helper, = children(line.pid)
            os.kill(line.pid, signal.SIGKILL)
            gone(helper)
        equal(proxy.process.wait(), 0, "exit code")


@case
def without_its_helper_it_serves_on(world):
    with world.private(world.sink.port) as proxy, Succession(proxy) as line:
        helper, = children(proxy.process.pid)
        os.kill(helper, signal.SIGKILL)
        gone(helper)
        line.ask("the process that would start a new one has ended")
        equal(children(proxy.process.pid), [], "what is left of it")
        serves(proxy, proxy.address)


@each("port", "unix", "none")
def sigterm_and_a_start_at_once(world, kind):
    """As a service manager restarts it: 0.1 s later, while the old one still lets a message finish."""
    service = {"port": f"127.0.0.1:{free_port()}", "unix": f"unix:{world.folder}/again.sock", "none": None}[kind]
    layout = layout_of(world, world.sink.port, service, drain_timeout="60s")
    with world.configured(layout) as old, Client(old.at("mx")) as busy:
        busy.open()
        busy.envelope()
        busy.expect("DATA", 354)
        old.terminate()
        time.sleep(0.1)  # is what is tested
        with world.configured(layout) as new:
            with Client(new.at("mx")) as client:
                client.open()
                client.quit()
            identifier, content = mail()
            busy.send(content + b".\r\n")
            equal(busy.reply().code, 250, "reply to the final dot")
            busy.drop()
            equal(old.process.wait(), 0, "exit code")
            with socket.create_connection(new.at("mx"), 5):
                pass
    world.sink.message(identifier.encode())
