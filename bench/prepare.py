# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark sees to before it measures: that the programs are built from this tree, and that its CPUs are there."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_SHOWN = 20


def fail(text):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {text}")


def is_configured(build):
    """For this tree, where it is now."""
    return subprocess.run(["bash", "-c", '. "$1/tools/lib.sh" && build_is_ours "$2"', "prepare", ROOT, build],
                          check=False).returncode == 0


def build_programs(build, *targets):
    """tools/quickstart builds only what mail needs, and a folder may be older than the sources."""
    if not is_configured(build):
        print(f"{build} is not configured yet for this tree; tools/setup does that", flush=True)
        if subprocess.run([ROOT / "tools/setup"], env={**os.environ, "RINGPOST_BUILD": str(build)}, check=False).returncode:
            fail(f"{build} could not be configured (see above)")
    done = subprocess.run(["ninja", "-C", build, *targets], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    if done.returncode != 0:
        print("\n".join(done.stdout.splitlines()[-LINES_SHOWN:]), file=sys.stderr)
        fail(f"{' '.join(targets)} could not be built (see above)")


def need_cpus(*cpus):
    lacking = sorted({int(cpu) for cpu in cpus} - os.sched_getaffinity(0))
    if lacking:
        fail(f"it measures on CPUs {' and '.join(map(str, cpus))}, and may not use CPU {lacking[0]} here")
