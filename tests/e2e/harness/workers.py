# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases on several processes, each in a network of its own: no two servers ask for the same port."""

import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def most():
    """How many processes are of use here. Most cases wait more than they compute."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        return 1
    return min(2, os.cpu_count() or 1)


def _serve(connection, cases, session):
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # it must not outlive a run that is killed
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    by_title = {case.title: case for case in cases}
    with session() as run:
        connection.send(None)
        while titles := connection.recv():
            for title in titles:
                connection.send((title, *run(by_title[title])))
            connection.send(None)


class _Worker:
    def __init__(self, context, cases, session):
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, cases, session))
        self.process.start()
        theirs.close()  # so that its end shows here
        self.titles = []  # what it has been given and has not told of


def spread(cases, jobs, session):
    """Yields (title, outcome, text, seconds) of each case as it is done. In each process `session()` is a context
    manager whose value runs a case and returns the last three. The cases of one module stay together, because they
    share servers. Those that a process leaves behind when it ends too early have failed."""
    modules = {}
    for case in cases:
        modules.setdefault(case.title.split(".")[0], []).append(case.title)
    waiting = list(modules.values())
    context = multiprocessing.get_context("fork")
    workers = []
    try:
        workers += [_Worker(context, cases, session) for _ in range(min(jobs, len(waiting)))]
        at_work = {worker.connection: worker for worker in workers}
        while at_work:
            for connection in multiprocessing.connection.wait(list(at_work)):
                worker = at_work[connection]
                try:
                    told = connection.recv()
                except EOFError:
                    del at_work[connection]
                    worker.process.join()
                    for title in worker.titles:
                        yield title, "failed", f"its process ended (exit code {worker.process.exitcode})", 0.0
                    continue
                if told is not None:
                    worker.titles.remove(told[0])
                    yield told
                    continue
                worker.titles = waiting.pop(0) if waiting else []
                connection.send(list(worker.titles))
        for title in (title for titles in waiting for title in titles):
            yield title, "failed", "no process was left to run it", 0.0
    finally:
        for worker in workers:
            if worker.process.is_alive():
                worker.process.terminate()
            worker.process.join()
