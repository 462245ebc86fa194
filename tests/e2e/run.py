#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the end-to-end cases: ringpost between real clients and real servers, on loopback.

    tests/e2e/run.py [--build FOLDER] [--quick] [--jobs N] [--list] [part of a name ...]

Prints one line per case. For a case that fails also what the programs logged meanwhile.
"""

import argparse
import contextlib
import functools
import importlib
import json
import os
import pathlib
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import workers  # noqa: E402
from harness.case import CASES, Failure, Skip  # noqa: E402
from harness.world import ROOT, World  # noqa: E402

CASE_SECONDS = int(os.environ.get("E2E_CASE_SECONDS", "120"))  # far more than any case needs: only a case that hangs meets it


def load_cases():
    folder = pathlib.Path(__file__).resolve().parent / "cases"
    for path in sorted(folder.glob("*.py")):
        if path.stem != "__init__":
            importlib.import_module(f"cases.{path.stem}")


def alarm(_number, _frame):
    raise Failure(f"not done after {CASE_SECONDS} s")


def run_case(case, world):
    """('passed' | 'failed' | 'skipped', what to print)."""
    before = world.logs()
    signal.alarm(CASE_SECONDS)
    try:
        case(world)
        return "passed", ""
    except Skip as reason:
        return "skipped", str(reason)
    except Exception as error:  # a case that breaks in any way has failed
        text = [f"{type(error).__name__}: {error}"]
        text += [f"  at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.line}"
                 for frame in traceback.extract_tb(error.__traceback__)[1:]]
        for path, size in world.logs().items():
            with open(path, "rb") as log:
                log.seek(before.get(path, 0))
                added = log.read().decode("utf-8", "replace").splitlines()
            if added:
                text += [f"  --- {path.name}", *("  | " + line for line in added[-25:])]
        return "failed", "\n".join(text)
    finally:
        signal.alarm(0)


@contextlib.contextmanager
def in_a_world(build):
    """What runs a case: (outcome, text, seconds)."""
    world = World(build)

    def run(case):
        begin = time.monotonic()
        return *run_case(case, world), time.monotonic() - begin
    try:
        yield run
    finally:
        signal.alarm(0)
        world.close()


def in_turn(cases, session):
    with session() as run:
        for case in cases:
            yield case.title, *run(case)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--quick", action="store_true", help="without the slow cases")
    parser.add_argument("--jobs", type=int, help="processes; with 1 the cases use the machine's own network")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--results", type=pathlib.Path, help="write the counts there, as JSON")
    options = parser.parse_args()

    load_cases()
    cases = [case for case in CASES if not (options.quick and case.slow)
             and (not options.names or any(name in case.title for name in options.names))]
    if options.list:
        for case in cases:
            print(case.title)
        return 0

    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    session = functools.partial(in_a_world, options.build.resolve())
    outcomes = {"passed": [], "failed": [], "skipped": []}
    started = time.monotonic()
    jobs = options.jobs or workers.most()
    for title, outcome, text, seconds in workers.spread(cases, jobs, session) if jobs > 1 else in_turn(cases, session):
        outcomes[outcome].append(title)
        word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[outcome]
        print(f"{word} {title} ({seconds:.2f} s)", flush=True)
        if text:
            print("  " + text.replace("\n", "\n  "), flush=True)
    print(f"end-to-end: {len(outcomes['passed'])} passed, {len(outcomes['failed'])} failed, "
          f"{len(outcomes['skipped'])} skipped, {time.monotonic() - started:.0f} s")
    if options.results:
        options.results.write_text(json.dumps({"passed": len(outcomes["passed"]), "failures": outcomes["failed"],
                                               "skipped": len(outcomes["skipped"])}))
    return 1 if outcomes["failed"] or not outcomes["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
