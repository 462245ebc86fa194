#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `meson install` puts into place, and what systemd says of it.

Usage: install_test.py BUILD
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1])
EXPOSURE_MAX = 16  # tenths; what counts are the network, which it is for, and the calls that it confines itself with
FILES = ("sbin/ringpost", "bin/ringpost-sink", "bin/ringpost-load", "lib/systemd/system/ringpost.service",
         "lib/sysusers.d/ringpost.conf", "lib/tmpfiles.d/ringpost.conf", "share/doc/ringpost/CONFIGURATION.md",
         "share/doc/ringpost/examples/postfix.conf", "share/doc/ringpost/examples/ringpost")


def failures(root):
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root], capture_output=True, text=True)
    if done.returncode != 0:
        yield f"meson install failed: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return
    prefix = next((path.parent for path in root.rglob("sbin") if path.is_dir()), None)
    if prefix is None:
        yield "there is no sbin"
        return
    for name in FILES:
        if not (prefix / name).is_file():
            yield f"{name} is not installed"
    unit = prefix / "lib/systemd/system/ringpost.service"
    text = unit.read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.M)[1]
    if not (root / program.lstrip("/")).is_file():
        yield f"ExecStart is {program}, which is not installed"
    if "@" in re.sub(r"^SystemCallFilter=.*$", "", text, flags=re.M):
        yield "a placeholder is left in the unit"
    sections = re.findall(r"\[(.+)\]\((?:docs/)?[A-Z]+\.md", (prefix / "share/doc/ringpost/README.md").read_text())
    if not sections:
        yield "README.md names no document"
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not here: the unit was not judged")
        return
    # As if it were installed: the program has to be at its place for `verify`.
    here = root / "here.service"
    here.write_text(text.replace(program, str(root / program.lstrip("/"))).replace(
        "Documentation=file:/", f"Documentation=file:{root}/"))
    for command in (["verify", here], ["security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", here]):
        judged = subprocess.run(["systemd-analyze", *command], capture_output=True, text=True)
        complaints = [line for line in judged.stderr.splitlines() if "here.service" in line]
        if judged.returncode != 0 or (command[0] == "verify" and complaints):
            yield f"systemd-analyze {command[0]}: {judged.stdout[-1500:]}{judged.stderr[-1500:]}"


def main():
    with tempfile.TemporaryDirectory(prefix="ringpost-install-") as folder:
        found = list(failures(pathlib.Path(folder)))
    for failure in found:
        print(failure)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
