#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acknowledged means stored: real processes, killed, reset and cut off at random moments under load.

    tests/chaos/run.py [--kills=N] [--seed=N] [--minutes=M] [--lanes=N] [--build=FOLDER] [--results=FILE]

Each lane is a ringpost with two storing backends, failover between them, and clients whose messages carry
id, length and SHA-256 and are sent until they are acknowledged. At least a third of the kills must come while
a client waits for the answer to its final dot. The seed fixes who is struck how, and in which order.
"""

import argparse
import collections
import json
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from ledger import ORACLES  # noqa: E402

ROOT = HERE.parents[1]
STUCK_SECONDS = 240  # without a line from a lane; delivery and orderly ends take far less


class LaneProcess:
    def __init__(self, index, kills, options):
        words = [sys.executable, str(HERE / "lane.py"), f"--lane={index}", f"--kills={kills}", f"--seed={options.seed}",
                 f"--minutes={options.minutes}", f"--clients={options.clients}", f"--interval={options.interval}",
                 f"--build={options.build.resolve()}", *(["--egress"] if options.egress else [])]
        self.index = index
        self.state = {"kills": 0, "window": 0, "lost": 0, "accepted": 0, "unanswered": 0, "stored": 0, "broken": 0}
        self.heard = time.monotonic()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.state = json.loads(line)
            self.heard = time.monotonic()

    def running(self):
        if self.process.poll() is None and time.monotonic() - self.heard > STUCK_SECONDS:
            print(f"lane {self.index} said nothing for {STUCK_SECONDS} s: ended", flush=True)
            self.process.terminate()
        return self.process.poll() is None

    def finish(self):
        self.process.wait()
        self.reader.join(10)


def say_progress(lanes, options, seconds):
    sums = collections.Counter()
    for lane in lanes:
        sums.update({key: value for key, value in lane.state.items() if isinstance(value, int)})
    print(f"[{seconds:5.0f} s] {sums['kills']}/{options.kills} kills, {sums['window']} between dot and answer; "
          f"{sums['accepted']} messages acknowledged, {sums['unanswered']} answers lost, {sums['stored']} copies "
          f"checked" + (f"; BROKEN: {sums['broken']}" if sums["broken"] else ""), flush=True)


def report(lanes, options, seconds):
    """Prints what was found; (held oracles, [failures], [skipped])."""
    checked, failed, kinds, sums = (collections.Counter() for _ in range(4))
    failures, skipped = [], []
    for lane in lanes:
        state = lane.state
        sums.update({key: value for key, value in state.items() if isinstance(value, int)})
        if not state.get("done"):
            failures.append(f"lane {lane.index} did not come to its end (exit code {lane.process.returncode})")
            continue
        checked.update(state["checked"])
        failed.update(state["failed"])
        kinds.update(state["kinds"])
        failures += [f"lane {lane.index}: {example}" for example in state["examples"]]
        skipped += state["skipped"]
        if state["failed"]:
            print(f"lane {lane.index} left its files in {state['folder']}")
    kills, window = sums["kills"], sums["window"]
    if 3 * window >= kills > 0:
        checked["a third of the kills between dot and answer"] += 1
    else:
        failures.append(f"a third of the kills between dot and answer: only {window} of {kills}")
    if kills >= options.kills:
        checked["as many kills as asked for"] += 1
    elif not options.minutes:
        failures.append(f"as many kills as asked for: {kills} of {options.kills}")
    print(f"{kills} kills in {seconds:.0f} s, {window} while a client waited for the answer to its final dot, "
          f"{sums['lost']} of these with an answer lost: "
          + ", ".join(f"{kind} {count}" for kind, count in kinds.items() if count)
          + f"; besides {sums['reloads']} reloads")
    print(f"{sums['messages']} messages in {sums['sessions']} sessions: {sums['accepted']} acknowledged, "
          f"{sums['stored']} copies stored, {sums['duplicates']} of them a second time; {sums['unanswered']} "
          f"answers to a final dot lost, {sums['not_stored']} of these not stored")
    for oracle in ORACLES:
        if failed[oracle]:
            print(f"  BROKEN {failed[oracle]:8} times  {oracle}")
        elif checked[oracle]:
            print(f"  held   {checked[oracle]:8} times  {oracle}")
        elif oracle != "as many kills as asked for" or not options.minutes:
            failures.append(f"{oracle}: never looked at")
    for reason in sorted(set(skipped)):
        print(f"  skipped: {reason}")
    return [oracle for oracle in ORACLES if checked[oracle] and not failed[oracle]], failures, sorted(set(skipped))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 10**6))
    parser.add_argument("--minutes", type=float, default=0, help="stop striking after this, however many there were")
    parser.add_argument("--lanes", type=int, default=3, help="pairs of ringpost and backends at the same time")
    parser.add_argument("--clients", type=int, default=8, help="of each lane")
    parser.add_argument("--interval", type=float, default=0.2, help="mean seconds between two strikes of a lane")
    parser.add_argument("--egress", action="store_true", help="mail leaves in all lanes, not only in each third")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--results", type=pathlib.Path, help="write the counts there, as JSON")
    options = parser.parse_args()
    if not (options.build / "ringpost-sink").exists():
        parser.error(f"{options.build} has no ringpost and ringpost-sink; build them first")

    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
    print(f"seed {options.seed}; again with: tests/chaos/run.py --seed={options.seed} --kills={options.kills} "
          f"--lanes={options.lanes}" + (" --egress" if options.egress else ""), flush=True)
    shares = [options.kills // options.lanes + (index < options.kills % options.lanes)
              for index in range(options.lanes)]
    started = time.monotonic()
    lanes = [LaneProcess(index, share, options) for index, share in enumerate(shares)]
    try:
        said = time.monotonic()
        while any([lane.running() for lane in lanes]):
            time.sleep(0.1)
            if time.monotonic() - said >= 5:
                said = time.monotonic()
                say_progress(lanes, options, said - started)
        for lane in lanes:
            lane.finish()
    finally:
        for lane in lanes:
            if lane.process.poll() is None:
                lane.process.terminate()
    passed, failures, skipped = report(lanes, options, time.monotonic() - started)
    for text in failures:
        print(f"FAILED {text}")
    print(f"chaos: {len(passed)} oracles held, {len(failures)} failures, {len(skipped)} skipped; seed {options.seed}")
    if options.results:
        options.results.write_text(json.dumps({"passed": len(passed), "failures": failures, "skipped": len(skipped)}))
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
