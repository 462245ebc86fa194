#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test program that can start a thread is in the suite "threads", which is what tools/test --tsan runs.

Usage: threads_test.py BUILD
"""
import json
import pathlib
import subprocess
import sys

BUILD = pathlib.Path(sys.argv[1])
STARTS_A_THREAD = "_ZNSt6thread15_M_start_thread"  # of the C++ library


def starts_threads(program):
    symbols = subprocess.run(["nm", "--dynamic", "--undefined-only", program], capture_output=True, text=True, check=True)
    return STARTS_A_THREAD in symbols.stdout


def main():
    in_suite, elsewhere = set(), set()
    for test in json.loads((BUILD / "meson-info" / "intro-tests.json").read_text()):
        program = pathlib.Path(test["cmd"][0])
        if not program.is_relative_to(BUILD) or not program.exists():
            continue
        chosen = in_suite if any(suite.endswith(":threads") for suite in test["suite"]) else elsewhere
        if starts_threads(program):
            chosen.add(test["name"])
    for name in sorted(elsewhere):
        print(f"the test '{name}' can start threads: it needs suite: 'threads' in its meson.build")
    if not in_suite:
        print("no test of the suite starts a thread: this check does not see them any more")
    return 1 if elsewhere or not in_suite else 0


if __name__ == "__main__":
    sys.exit(main())
