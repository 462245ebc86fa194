#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the tests: breaks ringpost on purpose, one defect at a time; its detector must see it.

    tests/defects/run.py [--build FOLDER] [--asan FOLDER] [--tsan FOLDER] [--fuzz FOLDER] [--only FLAVOUR]
                         [--list] [name ...]

The defects are in table.py. Of each, the broken copies of its files are compiled with the commands of the
build folder and linked in front of the libraries that have the sound ones, so that nothing else is built and
the tree is not touched. A defect is found if its detector fails *and* says what the table expects of it;
every detector must also pass with nothing broken. A text that is not in its file exactly once, or no longer
compiles, is a failure: the table must follow the code.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from table import DEFECTS  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("ringpost", "ringpost-sink", "ringpost-load")
OUTPUT_SHOWN = 25
# A broken program leaks, hangs and aborts: no core files, and an end to the first complaint.
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
    "GTEST_BRIEF": "1",
    "GTEST_OUTPUT": "",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Wrong(Exception):
    """Why a defect does not count as found."""


def bounded(command, seconds, folder, environment=None):
    """(exit code, output) of a command; what it leaves running ends with it."""
    environment = {**os.environ, **ENVIRONMENT, **(environment or {})}
    process = subprocess.Popen(command, cwd=folder, env=environment, text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # a script that started servers ends them
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            output = ""
        return None, (output or "") + f"\nnot done after {seconds} s\n"
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def tail(text):
    return "\n".join(text.splitlines()[-OUTPUT_SHOWN:])


class Build:
    """One build folder: how it compiles a file and how it links a program."""

    def __init__(self, folder):
        self.folder = folder
        self.work = folder / "defects"
        self._compile, self._outputs = {}, {}
        for entry in json.loads((folder / "compile_commands.json").read_text()):
            source = pathlib.Path(os.path.normpath(pathlib.Path(entry["directory"]) / entry["file"]))
            self._compile.setdefault(source, shlex.split(entry["command"]))
            self._outputs.setdefault(source, set()).add(entry["output"])
        self._link = {}

    def make(self, targets):
        return bounded(["ninja", "-C", str(self.folder), *targets], 1200, self.folder)

    def read_link_commands(self, targets):
        for target in targets:
            listing = subprocess.run(["ninja", "-C", str(self.folder), "-t", "commands", target], text=True,
                                     capture_output=True)
            lines = listing.stdout.splitlines()
            if not lines:
                raise Wrong(f"{self.folder} has no target {target}: {listing.stderr.strip()}")
            self._link[target] = shlex.split(lines[-1])

    def compile(self, source, broken, overlay, output):
        command = list(self._compile.get(source, ()))
        if not command:
            raise Wrong(f"{self.folder} does not compile {source.relative_to(ROOT)}")
        compiler = next(i for i, word in enumerate(command) if word.startswith("-"))
        words = command[:compiler] + [f"-I{overlay / 'include'}"] + command[compiler:]
        kept, skip = [], False
        for word in words:
            if skip or word in ("-MD", "-Werror"):
                skip = False
            elif word in ("-MQ", "-MF", "-o", "-c"):
                skip = True
            else:
                kept.append(word)
        kept += ["-w", "-iquote", str(source.parent), "-o", str(output), "-c", str(broken)]
        code, text = bounded(kept, 300, self.folder)
        if code != 0:
            raise Wrong(f"the broken {source.relative_to(ROOT)} does not compile:\n{tail(text)}")

    def link(self, target, objects, output):
        command = list(self._link[target])
        command[command.index("-o") + 1] = str(output)
        first = next(i for i, word in enumerate(command) if word.endswith(".o"))
        added = []
        for source, broken in objects.items():
            # A program's own object makes room for its broken copy. One in a library is not asked for, unless for
            # a function of the C++ library that it happens to have as well; then the broken one, ahead of it, counts.
            own = [i for i, word in enumerate(command) if word in self._outputs[source]]
            if own:
                command[own[0]] = str(broken)
            else:
                added.append(str(broken))
        command[first:first] = [*added, "-Wl,-z,muldefs"]
        # The program is linked by optimising it as a whole, some 25 s of CPU each time; the objects have ordinary code, too.
        if any(word.startswith("-flto") for word in command):
            command.append("-fno-lto")
        code, text = bounded(command, 300, self.folder)
        if code != 0:
            raise Wrong(f"{target} does not link with the broken code:\n{tail(text)}")


def detect(detector, program, folder, build):
    """(exit code, output) of a detector with this program. What it leaves behind goes away."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="ringpost-defect-"))  # short: unix sockets may be in it
    scratch.chmod(0o755)  # Postfix's own users walk through it
    values = {"program": str(program), "folder": str(folder), "scratch": str(scratch), "root": str(ROOT)}
    try:
        return bounded([word.format(**values) for word in detector.command], detector.seconds, build.folder,
                       {"TMPDIR": str(scratch)})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def break_files(defect, folder):
    """Writes the broken copies; {source: broken copy}. Each text must be there exactly once."""
    texts = {}
    for edit in defect.edits:
        path = ROOT / edit.file
        text = texts.get(path) or path.read_text()
        count = text.count(edit.old)
        if count != 1:
            raise Wrong(f"{edit.file} has the text to break {count} times, not once: "
                        f"{edit.old.strip()[:90]!r}")
        texts[path] = text.replace(edit.old, edit.new)
    copies = {}
    for path, text in texts.items():
        copies[path] = folder / "broken" / path.relative_to(ROOT)
        copies[path].parent.mkdir(parents=True, exist_ok=True)
        copies[path].write_text(text)
    return copies


def run_defect(defect, build):
    """The line in which the detector says that it has found the defect; raises Wrong if it has not."""
    folder = build.work / defect.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copies = break_files(defect, folder)
    sources = {path: copy for path, copy in copies.items() if path.suffix == ".cc"}
    sources.update({ROOT / name: ROOT / name for name in defect.rebuild})
    objects = {source: folder / (str(source.relative_to(ROOT)).replace("/", "-") + ".o")
               for source in sources}
    for source, copy in sources.items():
        build.compile(source, copy, folder / "broken", objects[source])
    for program in PROGRAMS:  # what the detector starts stands side by side
        if (build.folder / program).exists():
            (folder / program).symlink_to(build.folder / program)
    detector = defect.detector
    program = folder / pathlib.Path(detector.target).name
    program.unlink(missing_ok=True)
    build.link(detector.target, objects, program)
    code, output = detect(detector, program, folder, build)
    if code == 0:
        raise Wrong("nobody noticed:\n" + tail(output))
    if not re.search(defect.finds, output):
        raise Wrong(f"the detector failed, but not with {defect.finds!r}:\n" + tail(output))
    shutil.rmtree(folder)
    return re.search(rf".*(?:{defect.finds}).*", output)[0].strip()[:150]


def run_sound(detector, build):
    program = build.folder / detector.target
    code, output = detect(detector, program, build.folder, build)
    if code != 0:
        raise Wrong("it fails with nothing broken:\n" + tail(output))


class Report:
    def __init__(self):
        self.passed, self.failures = 0, []

    def run(self, title, function, *arguments):
        started = time.monotonic()
        found = wrong = ""
        try:
            found = function(*arguments) or ""
        except Wrong as reason:
            wrong = str(reason)
        except Exception as error:  # a table that cannot be carried out has failed
            wrong = f"{type(error).__name__}: {error}"
        return title, found, wrong, time.monotonic() - started

    def add(self, title, found, wrong, seconds):
        print(f"{'FAIL' if wrong else 'ok  '} {title} ({seconds:.1f} s)" + (f": {found}" if found else ""),
              flush=True)
        if wrong:
            print("  " + wrong.replace("\n", "\n  "), flush=True)
            self.failures.append(title)
        else:
            self.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only defects whose name contains one of these")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--asan", type=pathlib.Path, default=ROOT / "build-asan")
    parser.add_argument("--tsan", type=pathlib.Path, default=ROOT / "build-tsan")
    parser.add_argument("--fuzz", type=pathlib.Path, default=ROOT / "build-fuzz")
    parser.add_argument("--only", metavar="FLAVOURS", help="of plain, asan, tsan, fuzz, by comma")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--list", action="store_true", help="print the names and what is broken, and stop")
    parser.add_argument("--results", type=pathlib.Path, help="write the counts there, as JSON")
    options = parser.parse_args()

    flavours = set((options.only or "plain,asan,tsan,fuzz").split(","))
    defects = [defect for defect in DEFECTS if defect.detector.flavour in flavours
               and (not options.names or any(name in defect.name for name in options.names))]
    if options.list:
        for defect in defects:
            print(f"{defect.name}: {defect.breaks}")
        return 0
    if not defects:
        sys.exit("no defect has such a name; --list prints them")
    # A SIGTERM unwinds, so that what runs is ended.
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))

    started, report, builds = time.monotonic(), Report(), {}
    folders = {"plain": options.build, "asan": options.asan, "tsan": options.tsan, "fuzz": options.fuzz}
    for flavour in sorted({defect.detector.flavour for defect in defects}):
        folder = folders[flavour].resolve()
        if not (folder / "build.ninja").exists():
            sys.exit(f"{folder} is not configured; tools/test makes it")
        build = builds[flavour] = Build(folder)
        shutil.rmtree(build.work, ignore_errors=True)
        detectors = [defect.detector for defect in defects if defect.detector.flavour == flavour]
        targets = {detector.target for detector in detectors}
        also = {target for detector in detectors for target in detector.needs}
        code, output = build.make(sorted(targets | also))
        if code != 0:
            sys.exit(f"{folder} does not build:\n{tail(output)}")
        build.read_link_commands(sorted(targets))

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = []
        for detector in dict.fromkeys(defect.detector for defect in defects if defect.detector.sound):
            work.append(pool.submit(report.run, f"sound: {detector.name}", run_sound, detector,
                                    builds[detector.flavour]))
        for defect in defects:
            work.append(pool.submit(report.run, defect.name, run_defect, defect,
                                    builds[defect.detector.flavour]))
        try:
            for done in concurrent.futures.as_completed(work):
                report.add(*done.result())
        except BaseException:
            for future in work:
                future.cancel()
            raise
    if not report.failures:
        for build in builds.values():
            shutil.rmtree(build.work, ignore_errors=True)
    print(f"broken on purpose: {report.passed} passed, {len(report.failures)} failed, "
          f"{time.monotonic() - started:.0f} s")
    if options.results:
        options.results.write_text(json.dumps({"passed": report.passed, "failures": sorted(report.failures),
                                               "skipped": 0}))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
