#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail clients through ringpost, each by STARTTLS and with TLS from the start.

    tests/world/run.py [--quick] [--list] [--readme] [name ...]

Each sends two messages, a small and a large one, to a ringpost with a server behind it that stores what comes. What
was stored must be what was sent, octet by octet, and the session lines of the log must say so. Clients are started in
mounts and in a network of their own; tools/fetch-clients obtains them. Names: of clients, see --list.
"""

import argparse
import importlib
import json
import os
import pathlib
import signal
import sys
import time
import traceback

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "e2e")]

from client import CLIENTS  # noqa: E402
from harness.case import Failure, Skip  # noqa: E402
from harness.namespace import private_network  # noqa: E402
from harness.world import ROOT, World  # noqa: E402
from table import client_rows, write_readme  # noqa: E402
from trial import Trial  # noqa: E402


def load_clients():
    """What is wrong with entries that cannot be read, by their name."""
    broken = {}
    for path in sorted((FOLDER / "clients").glob("*.py")):
        try:
            importlib.import_module(f"clients.{path.stem}")
        except Exception as error:  # the others can be tried all the same
            broken[path.stem] = f"{type(error).__name__}: {error}"
    return broken


def attempt(trial, client, way):
    """('passed' | 'failed' | 'skipped', what to print)."""
    signal.alarm(client.seconds + 60)
    try:
        return "passed", trial(client, way)
    except Skip as reason:
        return "skipped", str(reason)
    except Failure as fault:
        return "failed", str(fault)
    except Exception as error:  # an error of this program is a failure of the client's, and the next one gets its turn
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return "failed", f"{type(error).__name__}: {error} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"
    finally:
        signal.alarm(0)


def alarm(_number, _frame):
    raise Failure("the run of this client does not end")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these clients")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--quick", action="store_true", help="only those that tools/test runs")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--packages", action="store_true", help="print what tools/fetch-clients is to obtain and stop")
    parser.add_argument("--results", type=pathlib.Path, help="write the counts there, as JSON")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()

    broken = load_clients()
    unknown = set(options.names) - {client.name for client in CLIENTS}
    if unknown:
        parser.error(f"no client is called {', '.join(sorted(unknown))}; --list names them")
    chosen = [client for client in CLIENTS if (client.quick or not options.quick)
              and (not options.names or client.name in options.names)]
    if options.list:
        for client in chosen:
            print(f"{client.name:20} {client.version() or 'not obtained':20} {client.note}".rstrip())
        return 0
    if options.packages:
        print("\n".join(dict.fromkeys(client.to_fetch for client in chosen)))
        return 0

    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    results = {(name, "entry"): ("failed", text) for name, text in broken.items()}
    for name, text in broken.items():
        print(f"FAIL clients/{name}.py: {text}")
    started = time.monotonic()
    try:
        with private_network("127.0.0.2"):  # for those that must not think the server to be themselves
            run_all(options, chosen, results)
    except Skip as reason:
        print(f"nothing was run: {reason}")
        results.update({(client.name, way): ("skipped", str(reason)) for client in chosen for way in client.ways})
    except KeyboardInterrupt:
        print("stopped")
    except Exception as error:  # what all of them need is not there
        results["the run", "ended early"] = ("failed", f"{type(error).__name__}: {error}")
        print(f"the run ended early: {type(error).__name__}: {error}")
    print()
    print("\n".join(client_rows(results)))
    print()
    named = {outcome: [f"{name}, {way}" for (name, way), (found, _) in results.items() if found == outcome]
             for outcome in ("passed", "failed", "skipped")}
    for name in named["failed"]:
        print(f"FAILED {name}")
    print(f"world, {time.monotonic() - started:.0f} s: {len(named['passed'])} passed, {len(named['failed'])} failed"
          + (f", {len(named['skipped'])} skipped" if named["skipped"] else ""))
    if options.results:
        options.results.write_text(json.dumps({"passed": len(named["passed"]), "failures": named["failed"],
                                               "skipped": len(named["skipped"])}))
    if options.readme:
        write_readme(results)
    return 1 if named["failed"] or not named["passed"] else 0


def run_all(options, chosen, results):
    world = World(options.build.resolve())
    try:
        trial = Trial(world)
        cases = [(client, way) for client in chosen for way in client.ways]
        for number, (client, way) in enumerate(cases, 1):
            begin = time.monotonic()
            outcome, text = results[client.name, way] = attempt(trial, client, way)
            word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[outcome]
            print(f"{word} {number}/{len(cases)} {client.name} {client.version()}, {way} "
                  f"({time.monotonic() - begin:.1f} s)".replace(" ,", ",") + (f": {text}" if outcome == "skipped" else ""),
                  flush=True)
            if outcome == "failed":
                print("  " + text.replace("\n", "\n  "), flush=True)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
