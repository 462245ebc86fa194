#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up what tools/test ran: gtest cases, other unit tests, and what the other parts wrote.

Usage: count.py BUILD all|quick|unit|asan|tsan: what one run of tools/test did. count.py --sum BUILD...:
several of them. Names what failed, ends with "N passed, N failed". A part that left no result counts as one
failure: a run that did not happen must not look like a success.
"""

import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def gtest_cases(path):
    """(passed, names of failed, skipped) of one gtest XML file."""
    passed, failed, skipped = 0, [], 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None:
            failed.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            skipped += 1
        elif case.get("status") != "notrun":
            passed += 1
    return passed, failed, skipped


def unit_results(build):
    passed, failed, skipped = 0, [], 0
    log = build / "meson-logs" / "testlog.json"
    lines = log.read_text().splitlines() if log.exists() else []
    if not lines:
        return 0, ["unit tests: none ran"], 0
    for line in lines:
        test = json.loads(line)
        program = pathlib.Path(test["command"][0]).name
        xml = build / "test-results" / "unit" / f"{program}.xml"
        if xml.exists():
            more, wrong, left_out = gtest_cases(xml)
            passed, skipped = passed + more, skipped + left_out
            failed += wrong
            # A sanitizer's report or a crash at exit comes after the last case.
            if test["result"] not in ("OK", "SKIP") and not wrong:
                failed.append(f"{test['name']}: {test['result']}")
        elif test["result"] == "OK":
            passed += 1
        elif test["result"] == "SKIP":
            skipped += 1
        else:
            failed.append(f"{test['name']}: {test['result']}")
    return passed, failed, skipped


def written_results(path, what):
    if not path.exists():
        return 0, [f"{what}: did not end by itself"], 0
    found = json.loads(path.read_text())
    return found["passed"], [f"{what}: {name}" for name in found["failures"]], found.get("skipped", 0)


# What writes results of its own, by scope, besides the unit tests.
PARTS = {
    "all": ("style", "instructions", "e2e", "world", "fuzz", "chaos", "defects"),
    "quick": ("style", "e2e", "world"),
    "unit": (),
    "asan": ("defects",),
    "tsan": ("defects",),
}
TITLES = {"e2e": "end-to-end", "world": "real client", "defects": "broken on purpose"}


def report(parts):
    passed = sum(part[0] for part in parts)
    failed = [name for part in parts for name in part[1]]
    skipped = sum(part[2] for part in parts)
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""))
    return passed, failed, skipped


def main():
    if sys.argv[1] == "--sum":
        builds = [pathlib.Path(name) for name in sys.argv[2:]]
        passed, failed, _ = report([written_results(build / "test-results" / "total.json", build.name)
                                    for build in builds])
    else:
        build, scope = pathlib.Path(sys.argv[1]), sys.argv[2]
        parts = [unit_results(build)]
        for part in PARTS[scope]:
            parts.append(written_results(build / "test-results" / f"{part}.json", TITLES.get(part, part)))
        passed, failed, skipped = report(parts)
        (build / "test-results" / "total.json").write_text(
            json.dumps({"passed": passed, "failures": failed, "skipped": skipped}))
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
