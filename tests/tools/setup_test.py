#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/setup in a small tree, with nothing to install: what it makes of build folders, and of a Debian archive that has
another wolfSSL than the pinned one. The archive is a folder, and apt is the machine's.

Usage: setup_test.py SOURCE_ROOT [unittest arguments]
"""
import email.utils
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv[1])
RELEASE = 'wolfssl-1.2.3-stable'
WRAP = f"""[wrap-file]
directory = {RELEASE}
source_url = http://127.0.0.1:9/{RELEASE}.tar.gz
source_filename = {RELEASE}.tar.gz
source_hash = 0000
patch_directory = wolfssl
diff_files = a.patch, b.patch
"""
PROJECT = """project('small')
test('where', find_program('where.sh'))
subdir('tests/crypto')
subdir('tests/x509')
subdir('tests/tls')
"""
LAYERS = ['crypto', 'x509', 'tls']
SUBPROJECT = "project('wolfssl', 'c', version: '1.2.3', license: 'GPL-3.0-or-later')\n"
PATCHES = {name: f'What it mends.\n\n--- a/{name}.c\n+++ b/{name}.c\n@@ -1 +1 @@\n-broken\n+mended\n' for name in ('a', 'b')}


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


class Tree:
    """A project of one test, with this tree's tools/setup, for which every package is installed."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / 'tree'
        for name in ('setup', 'lib.sh', 'newer-wolfssl.sh'):
            (self.root / 'tools').mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / 'tools' / name, self.root / 'tools' / name)
        write(self.root / 'meson.build', PROJECT)
        write(self.root / 'where.sh', '#!/bin/sh\nexit 0\n', 0o755)
        write(self.root / 'subprojects/wolfssl.wrap', WRAP)
        for layer in LAYERS:
            name = f'{layer}_test'
            write(self.root / 'tests' / layer / 'meson.build',
                  f"custom_target('{name}', output: '{name}', command: ['cp', files('{name}.sh'), '@OUTPUT@'])\n")
            write(self.root / 'tests' / layer / f'{name}.sh',
                  f'#!/bin/sh\necho {layer} >>{folder}/runs\ntest ! -e {folder}/{layer}-fails\n', 0o755)
        for name, text in PATCHES.items():
            write(self.root / f'subprojects/packagefiles/{name}.patch', text)
        write(self.root / 'subprojects/packagefiles/wolfssl/meson.build', SUBPROJECT)
        source = self.root / 'subprojects' / RELEASE
        write(source / 'configure.ac', '')
        write(source / 'ringpost-0/complete', '')
        inputs = subprocess.run('find wolfssl.wrap packagefiles -type f -exec sha256sum {} + | sort -k 2', shell=True,
                                cwd=self.root / 'subprojects', check=True, capture_output=True)
        (source / 'ringpost-inputs').write_bytes(inputs.stdout)
        # Of a machine whose apt lets everything pass.
        write(folder / 'apt.conf', 'APT::Get::AllowUnauthenticated "true";\nAcquire::AllowInsecureRepositories "true";\n')
        write(folder / 'bin/dpkg-query', '#!/bin/sh\necho installed\n', 0o755)

    def run(self, *command):
        environment = {name: value for name, value in os.environ.items() if name not in ('RINGPOST_BUILD', 'MAKEFLAGS')}
        environment['PATH'] = f'{self.folder}/bin:{environment["PATH"]}'
        environment['APT_CONFIG'] = str(self.folder / 'apt.conf')
        done = subprocess.run([str(word) for word in command], env=environment, stdout=subprocess.PIPE,
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


def hashed(path, algorithm='sha256'):
    content = path.read_bytes()
    return f'{hashlib.new(algorithm, content).hexdigest()} {len(content)}'


class Archive:
    """A Debian archive with the source of some versions of wolfSSL; file b.c of each is not the one that b.patch is for."""

    def __init__(self, folder, versions):
        self.folder = folder
        self.home = folder / 'gnupg'
        self.home.mkdir(mode=0o700)
        self.gpg('--quick-generate-key', '--passphrase', '', 'archive@example.test', 'default', 'default', 'never')
        self.gpg('--output', folder / 'archive.gpg', '--export', 'archive@example.test')
        stanzas = [self.add(*version.rpartition('-')[::2]) for version in versions]
        write(folder / 'dists/sid/main/source/Sources', '\n'.join(stanzas))
        self.sign()

    def gpg(self, *words):
        subprocess.run(['gpg', '--homedir', self.home, '--batch', '--yes', '--quiet', *words], check=True, capture_output=True)

    def add(self, upstream, revision):
        name = f'wolfssl_{upstream}.orig.tar.gz'
        path = self.folder / 'pool' / name
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, 'w:gz') as tar:
            for member, text in (('configure.ac', ''), ('a.c', 'broken\n'), ('b.c', 'other\n'), ('which', upstream)):
                entry = tarfile.TarInfo(f'wolfssl-{upstream}-stable/{member}')
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        dsc = self.folder / 'pool' / f'wolfssl_{upstream}-{revision}.dsc'
        dsc.write_text('dsc')
        files = [path, dsc]
        return (f'Package: wolfssl\nFormat: 3.0 (quilt)\nBinary: libwolfssl-dev\nVersion: {upstream}-{revision}\n'
                'Maintainer: Nobody <nobody@example.test>\nArchitecture: any\nDirectory: pool\nFiles:\n'
                + ''.join(f' {hashed(file, "md5")} {file.name}\n' for file in files) + 'Checksums-Sha256:\n'
                + ''.join(f' {hashed(file)} {file.name}\n' for file in files))

    def sign(self):
        release = self.folder / 'dists/sid/Release'
        date = email.utils.formatdate(usegmt=True).replace('GMT', 'UTC')
        release.write_text(f'Origin: Debian\nSuite: unstable\nCodename: sid\nDate: {date}\nComponents: main\nSHA256:\n'
                           f' {hashed(self.folder / "dists/sid/main/source/Sources")} main/source/Sources\n')
        self.gpg('--output', release.with_name('InRelease'), '--clearsign', release)

    def close(self):
        subprocess.run(['gpgconf', '--homedir', self.home, '--kill', 'all'], check=False, capture_output=True)


# Names the archive, and puts its key in the place of Debian's; the rest is apt's.
APT_GET = """#!/bin/sh
if [ "$1" = indextargets ]; then
  . /etc/os-release
  echo "copy:{archive}/ $VERSION_CODENAME main Debian"
  exit
fi
for word; do
  case "$word" in
    Dir::Etc::SourceParts=*) sed -i 's#^Signed-By: .*#Signed-By: {archive}/archive.gpg#' "${{word#*=}}/sid.sources" ;;
  esac
done
exec /usr/bin/apt-get "$@"
"""


@unittest.skipUnless(shutil.which('gpg') and os.path.exists('/usr/bin/apt-get')
                     and os.path.exists('/usr/share/keyrings/debian-archive-keyring.gpg'), 'wants gpg, and Debian')
class NewerWolfsslTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Tree(pathlib.Path(folder.name))
        self.source = self.tree.root / 'subprojects' / RELEASE
        shutil.rmtree(self.source)

    def offer(self, *versions):
        folder = self.tree.folder / 'archive'
        folder.mkdir()
        archive = Archive(folder, versions)
        self.addCleanup(archive.close)
        write(self.tree.folder / 'bin/apt-get', APT_GET.format(archive=folder), 0o755)
        return archive

    def runs(self):
        path = self.tree.folder / 'runs'
        return path.read_text().split() if path.exists() else []

    def expect_nothing(self):
        code, said = self.tree.setup()
        self.assertEqual(code, 1, said)
        self.assertIn('wolfSSL 1.2.3 could not be downloaded. On a machine that reaches the network, fetch', said)
        self.assertFalse(self.source.exists(), said)
        return said + (self.tree.root / '.cache/setup.log').read_text()

    def test_the_newest_takes_the_place_of_the_pinned_one(self):
        self.offer('1.2.2-9', '1.9.0-1', '1.10.0-1', '1.11.0~rc1-1')
        code, said = self.tree.setup()
        self.assertEqual(code, 0, said)
        self.assertEqual((self.source / 'which').read_text(), '1.10.0')
        self.assertEqual((self.source / 'a.c').read_text(), 'mended\n')
        self.assertEqual((self.source / 'b.c').read_text(), 'other\n')
        self.assertIn("version: '1.10.0'", (self.source / 'meson.build').read_text())
        warning = "WARNING: this is wolfSSL 1.10.0 from Debian's sid, not the pinned 1.2.3"
        for part in (warning, 'b.patch does not apply to it', 'rm -r subprojects/wolfssl-1.2.3-stable'):
            self.assertIn(part, said)
        self.assertNotIn('a.patch', said)
        self.assertEqual(self.runs(), LAYERS)
        code, said = self.tree.setup()
        self.assertEqual(code, 0, said)
        self.assertIn(warning, said)
        self.assertIn("tests of ringpost's TLS passed", said)
        self.assertEqual(self.runs(), LAYERS)

    def test_its_tests_decide(self):
        self.offer('1.3.0-1')
        for layer in LAYERS:
            fails = self.tree.folder / f'{layer}-fails'
            fails.touch()
            for _ in range(2):
                code, said = self.tree.setup()
                self.assertEqual(code, 1, said)
                self.assertIn('wolfSSL 1.3.0 does not do what ringpost needs', said)
            fails.unlink()
        self.assertEqual(self.tree.setup()[0], 0)

    def test_an_older_one_is_not_taken(self):
        self.offer('1.2.2-9')
        self.assertIn('has no wolfSSL that is at least 1.2.3', self.expect_nothing())

    def test_an_archive_that_is_not_signed(self):
        archive = self.offer('1.3.0-1')
        (archive.folder / 'dists/sid/InRelease').unlink()
        self.assertIn('is not signed', self.expect_nothing())

    def test_an_archive_that_somebody_else_has_signed(self):
        archive = self.offer('1.3.0-1')
        archive.gpg('--quick-generate-key', '--passphrase', '', 'other@example.test', 'default', 'default', 'never')
        archive.gpg('--output', archive.folder / 'archive.gpg', '--export', 'other@example.test')
        self.assertIn('NO_PUBKEY', self.expect_nothing())

    def test_a_file_that_was_changed(self):
        archive = self.offer('1.3.0-1')
        path = archive.folder / 'pool/wolfssl_1.3.0.orig.tar.gz'
        path.write_bytes(path.read_bytes()[:-1] + b'x')
        self.assertIn('Hash Sum mismatch', self.expect_nothing())


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
