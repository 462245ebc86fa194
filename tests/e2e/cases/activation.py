# SPDX-License-Identifier: GPL-3.0-or-later
"""Started with its sockets open already, as systemd's socket activation does it."""

import signal
import socket

from harness.case import case, check, contains, each, equal, eventually
from harness.process import free_port
from harness.smtp import Client, mail


def delivers(world, address):
    identifier, content = mail()
    with Client(address) as client:
        client.open(world.tls)
        equal(client.message(content).code, 250, "reply to the final dot")
        client.quit()
    world.sink.message(identifier.encode())


@each(("one socket", 1, 1, ""), ("one socket, three shards", 1, 3, ""), ("two, four shards", 2, 4, "+"),
      ("three, one shard", 3, 1, "+"), named=True)
def sockets_for_shards(world, variant):
    """Every socket is served, and none of the shards is idle: with SO_REUSEPORT each connection belongs to one socket."""
    _, count, shards, prefix = variant
    with world.private(world.sink.port, shards=shards, sockets=lambda first, second: [prefix + first] * count + [second]) as proxy:
        contains(proxy.log, f"listens on sockets that it was started with: 127.0.0.1:{proxy.port}", "the log")
        clients = []
        for _ in range(12):  # each by whoever has waited longest; of those that come together one shard may take several
            clients.append(Client(proxy.address))
            clients[-1].open()
        proxy.process.signal(signal.SIGUSR2)
        status = eventually(lambda: len(proxy.events("status")) == shards and proxy.events("status"), "a line of each shard")
        sessions = [int(line["sessions"]) for line in status]
        equal(sum(sessions), 12, f"sessions of {status}")
        check(shards == 1 or max(sessions) < 12, f"one shard has all sessions: {status}")
        for client in clients:
            client.quit()
            client.drop()
        delivers(world, proxy.address)
        proxy.process.signal(signal.SIGHUP)
        eventually(lambda: any(event["message"].startswith("done: ") for event in proxy.events("reload")), "the reload")
        for _ in range(4):
            delivers(world, proxy.address)
        contains(" ".join(event["message"] for event in proxy.events("start")), f"127.0.0.1:{proxy.implicit_port}", "the log")


@case
def a_socket_that_nobody_configured(world):
    port = free_port()
    with world.private(world.sink.port, sockets=lambda first, second: [first, f"127.0.0.1:{port}"]) as proxy:
        contains(proxy.log, f"was started with a socket for 127.0.0.1:{port}, which the configuration does not name", "the log")
        with socket.socket() as probe:
            check(probe.connect_ex(("127.0.0.1", port)) != 0, "it is closed")
        delivers(world, proxy.address)


@case
def a_socket_that_is_none(world):
    with world.private(world.sink.port, ready=False, sockets=lambda first, second: [f"udp:{first}"]) as proxy:
        equal(proxy.process.wait(), 1, "exit code")
        contains(proxy.log, "is no listening stream socket", "the sentence")


@case
def the_policy_service_of_a_socket_unit(world):
    """It answers there, and the file is the manager's: it stays."""
    path = world.folder / "activated-policy.sock"
    with world.private(world.sink.port, policy_service=f"unix:{path}",
                       sockets=lambda first, second: [first, f"unix:{path}"]) as proxy:
        with socket.socket(socket.AF_UNIX) as asker:
            asker.connect(str(path))
            asker.settimeout(20)
            asker.sendall(b"request=smtpd_access_policy\nclient_address=192.0.2.1\nclient_port=1\n\n")
            equal(asker.recv(100), b"action=DUNNO\n\n", "the answer")
        equal(proxy.stop(), 0, "exit code")
    check(path.exists(), "the file of the socket unit")
