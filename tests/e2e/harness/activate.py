#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket activation without a service manager: activate.py ADDRESS... -- COMMAND...

An ADDRESS is "127.0.0.1:2525", "+127.0.0.1:2525" (with SO_REUSEPORT; give it several times), "unix:/path" or
"udp:127.0.0.1:2525". They are opened, and COMMAND is executed with them as sd_listen_fds(3) says.
"""

import os
import socket
import sys


def opened(address):
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        made.bind(address.removeprefix("unix:"))
        made.listen()
        return made
    host, _, port = address.removeprefix("+").removeprefix("udp:").rpartition(":")
    made = socket.socket(type=socket.SOCK_DGRAM if address.startswith("udp:") else socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address.startswith("+"):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, int(port)))
    if made.type == socket.SOCK_STREAM:
        made.listen()
        made.setblocking(False)  # which must not keep the ring from waiting
    return made


def main():
    split = sys.argv.index("--")
    sockets = [opened(address) for address in sys.argv[1:split]]
    for index, made in enumerate(sockets):  # in order: none is overwritten that is still needed
        os.dup2(made.fileno(), 3 + index)
        os.set_inheritable(3 + index, True)  # dup2() leaves alone what is there already
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)),
                      LISTEN_FDNAMES=":".join("smtp.socket" for _ in sockets))
    os.execv(sys.argv[split + 1], sys.argv[split + 1:])


if __name__ == "__main__":
    main()
