# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaking connections from outside: a network namespace of the run's own, resets with `ss -K`, and black
holes with nftables. What this machine does not allow is found out first and said, never pretended."""

import ctypes
import os
import socket
import subprocess

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

# Dropping on the way in: to the sender the network has swallowed it.
RULES = """
table inet chaos {
  set client_to { type ipv4_addr; }
  set client_from { type ipv4_addr; }
  set backend_to { type inet_service; }
  set backend_from { type inet_service; }
  chain holes {
    type filter hook input priority 0; policy accept;
    ip saddr @client_from tcp dport { PORTS } drop
    ip daddr @client_to tcp sport { PORTS } drop
    tcp dport @backend_to drop
    tcp sport @backend_from drop
  }
}
"""


def enter_namespace():
    """Moves this process, with all it starts later, into a network namespace with nothing but loopback. Must
    be called before any thread starts. None, or why it cannot be."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return f"no network namespace of its own: {os.strerror(ctypes.get_errno())}"
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    done = command("ip", "link", "set", "lo", "up")
    return None if done is None else f"no loopback in a network namespace: {done}"


def command(*words, text=None):
    """None, or what went wrong."""
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")


def can_reset():
    """Whether `ss -K` ends a connection here; None, or why not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=5)
        peer, _ = server.accept()
        with client, peer:
            peer.settimeout(5)
            error = reset(f"sport = :{client.getsockname()[1]} and dport = :{server.getsockname()[1]}")
            if error:
                return f"no ss -K: {error}"
            try:
                octets = peer.recv(1)
            except ConnectionResetError:
                return None
            except OSError as broken:
                return f"ss -K without effect: {broken}"
            return f"ss -K without effect: {octets!r}"


def reset(which):
    """Ends the sockets that ss calls `which` as if a RST had come, and sends one to the peer."""
    return command("ss", "-K", "-t", "-n", "-H", "state", "established", which)


class Holes:
    """Black holes. `set` is client_to, client_from (an address) or backend_to, backend_from (a port)."""

    def __init__(self, ports):
        self.why_not = command("nft", "-f", "-",
                               text=RULES.replace("PORTS", ", ".join(str(port) for port in ports)))

    def open(self, sets, element):
        return self._change("add", sets, element)

    def close(self, sets, element):
        return self._change("delete", sets, element)

    def _change(self, verb, sets, element):
        return command("nft", "-f", "-", text="".join(
            f"{verb} element inet chaos {name} {{ {element} }}\n" for name in sets))
