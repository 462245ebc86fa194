#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/setup in a small tree, with nothing to install: what it makes of build folders.

Usage: setup_test.py SOURCE_ROOT [unittest arguments]
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv[1])
RELEASE = 'wolfssl-1.2.3-stable'
WRAP = f"""[wrap-file]
directory = {RELEASE}
source_url = http://127.0.0.1:9/{RELEASE}.tar.gz
source_filename = {RELEASE}.tar.gz
source_hash = 0000
"""
PROJECT = """project('small')
test('where', find_program('where.sh'))
"""


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


class Tree:
    """A project of one test, with this tree's tools/setup, for which every package is installed."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / 'tree'
        for name in ('setup', 'lib.sh'):
            (self.root / 'tools').mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / 'tools' / name, self.root / 'tools' / name)
        write(self.root / 'meson.build', PROJECT)
        write(self.root / 'where.sh', '#!/bin/sh\nexit 0\n', 0o755)
        write(self.root / 'subprojects/wolfssl.wrap', WRAP)
        write(self.root / 'subprojects/packagefiles/a.patch', '')
        source = self.root / 'subprojects' / RELEASE
        write(source / 'configure.ac', '')
        write(source / 'ringpost-0/complete', '')
        inputs = subprocess.run('find wolfssl.wrap packagefiles -type f -exec sha256sum {} + | sort -k 2', shell=True,
                                cwd=self.root / 'subprojects', check=True, capture_output=True)
        (source / 'ringpost-inputs').write_bytes(inputs.stdout)
        write(folder / 'bin/dpkg-query', '#!/bin/sh\necho installed\n', 0o755)

    def run(self, *command, env=None):
        environment = {name: value for name, value in os.environ.items() if name not in ('RINGPOST_BUILD', 'MAKEFLAGS')}
        environment['PATH'] = f'{self.folder}/bin:{environment["PATH"]}'
        done = subprocess.run([str(word) for word in command], env={**environment, **(env or {})}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        return done.returncode, done.stdout

    def setup(self):
        return self.run(self.root / 'tools/setup')

    def move(self):
        self.root = self.root.rename(self.folder / 'moved')


class BuildFolderTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Tree(pathlib.Path(folder.name))
        code, said = self.tree.setup()
        self.assertEqual(code, 0, said)
        self.assertIn('configuring the build', said)

    def expect_a_test(self, folder='build'):
        code, said = self.tree.run('meson', 'test', '-C', self.tree.root / folder, '--no-rebuild')
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r'Ok: +1')

    def test_a_second_run_leaves_it_alone(self):
        self.expect_a_test()
        self.assertEqual(self.tree.setup(), (0, ''))

    def test_a_tree_that_was_moved_is_configured_anew(self):
        other = self.tree.root / 'build-asan'
        self.assertEqual(self.tree.run('meson', 'setup', other, self.tree.root)[0], 0)
        self.tree.move()
        code, said = self.tree.run('meson', 'test', '-C', self.tree.root / 'build', '--no-rebuild')
        self.assertNotRegex(said, r'Ok: +1', 'or there is nothing to mend')
        code, said = self.tree.setup()
        self.assertEqual(code, 0, said)
        self.assertEqual(said.count('was configured for another place of this tree'), 2, said)
        for folder in ('build', 'build-asan'):
            self.expect_a_test(folder)
        self.assertEqual(self.tree.setup(), (0, ''))

    def test_a_copy_does_not_use_the_first_one(self):
        first = self.tree.root
        self.tree.root = pathlib.Path(shutil.copytree(first, self.tree.folder / 'copy', symlinks=True))
        write(first / 'where.sh', '#!/bin/sh\nexit 1\n', 0o755)
        self.assertEqual(self.tree.setup()[0], 0)
        self.expect_a_test()

    def test_a_link_to_the_tree_is_the_same_place(self):
        link = self.tree.folder / 'link'
        link.symlink_to(self.tree.root)
        self.assertEqual(self.tree.run(link / 'tools/setup'), (0, ''))


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
