# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that a program may not make: a seccomp filter, as containers and systemd units have it."""

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import threading

from harness.case import Skip

NUMBERS = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427}  # the same on all machines

_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_FLAG_NEW_LISTENER = 8
_RET_ALLOW, _RET_ERRNO, _RET_USER_NOTIF = 0x7FFF0000, 0x00050000, 0x7FC00000
_NOTIF_RECV, _NOTIF_SEND, _NOTIF_BYTES = 0xC0502100, 0xC0182101, 80
_CONTINUE = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _install(call, action, flags=0):
    if platform.machine() not in _SYS_SECCOMP:
        raise Skip(f"does not know how to filter system calls on {platform.machine()}")
    load, equal, give = 0x20, 0x15, 0x06
    program = b"".join(struct.pack("HBBI", *word) for word in (
        (load, 0, 0, 0), (equal, 0, 1, NUMBERS[call]), (give, 0, 0, action), (give, 0, 0, _RET_ALLOW)))
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    result = _libc.syscall(_SYS_SECCOMP[platform.machine()], _SET_MODE_FILTER, flags, header)
    if result < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return result


def without(call, error):
    """For Process's `limits`: the call fails with `error` from the start."""
    return lambda: _install(call, _RET_ERRNO | error)


class Gate:
    """Lets a call pass until `shut` is set. `limits` is for Process."""

    def __init__(self, call, error=errno.EPERM):
        self.call, self.error = call, error
        self.shut = False
        self._here, self._there = socket.socketpair()
        self._end = os.pipe()
        self._thread = None

    def limits(self):  # in the child
        listener = _install(self.call, _RET_USER_NOTIF, _FLAG_NEW_LISTENER)
        socket.send_fds(self._there, [b"x"], [listener])
        os.close(listener)

    def __enter__(self):
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *unused):
        os.close(self._end[1])
        self._there.close()
        self._thread.join()
        os.close(self._end[0])
        self._here.close()

    def _serve(self):
        _, fds, _, _ = socket.recv_fds(self._here, 1, 1)
        if not fds:
            return
        listener = fds[0]
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._end[0], 0)
        try:
            while True:
                events = dict(poll.poll())
                if events.get(listener) != select.POLLIN:
                    return  # the case is over, or the program
                request = bytearray(_NOTIF_BYTES)
                try:
                    fcntl.ioctl(listener, _NOTIF_RECV, request)
                    shut = self.shut
                    identifier, = struct.unpack_from("Q", request)
                    fcntl.ioctl(listener, _NOTIF_SEND, struct.pack(
                        "QqiI", identifier, 0, -self.error if shut else 0, 0 if shut else _CONTINUE))
                except OSError as failure:
                    if failure.errno not in (errno.ENOENT, errno.EINTR):  # who asked no longer waits
                        raise
        finally:
            os.close(listener)
