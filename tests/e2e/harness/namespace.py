# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of a case's own, where it may give itself addresses. What is started and opened inside stays in it."""

import contextlib
import ctypes
import os

from harness.case import Skip
from harness.process import run

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def private_network(*addresses):
    """This thread, and what it starts, in a new network namespace whose loopback also has `addresses`."""
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise Skip(f"no network namespace here: {os.strerror(ctypes.get_errno())}")
        try:
            for words in (["link", "set", "lo", "up"], *(["addr", "add", address, "dev", "lo"] for address in addresses)):
                code, _, errors = run(["ip", *words])
                if code:
                    raise Skip(f"ip {' '.join(words)}: {errors.strip()}")
            yield
        finally:
            if _libc.setns(outside, _CLONE_NEWNET) != 0:
                raise RuntimeError(f"cannot leave the network namespace: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(outside)
