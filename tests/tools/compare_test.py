#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/compare with peers that are missing, do not start or fail, and with a run that is stopped: nothing ends it early,
and what was measured is written.

Usage: compare_test.py SOURCE_ROOT BUILD_FOLDER [unittest arguments]
"""
import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

ROOT, BUILD = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader('compare', str(ROOT / 'bench/compare'))
compare = importlib.util.module_from_spec(importlib.util.spec_from_loader('compare', loader))
loader.exec_module(compare)
from partners import Handshakes  # noqa: E402
from peers import ENTRANTS  # noqa: E402
from peers.base import LOAD_CPU, Peer, Unavailable, free_port  # noqa: E402
from peers.report import egress_goals  # noqa: E402

LISTENER = ('import socket, sys, time; s = socket.create_server(("127.0.0.1", int(sys.argv[1])));'
            'time.sleep(float(sys.argv[2]))')


class Listening(Peer):
    name = 'ringpost'
    identity = None

    def command(self):
        return [sys.executable, '-c', LISTENER, self.port, 60]

    def version(self):
        return f'{self.name} 1'


class Missing(Listening):
    name = 'missing'
    programs = ('/bin/sh', '/nonexistent/proxy')
    packages = ('missing',)


class DoesNotStart(Listening):
    name = 'lame'
    packages = ('lame',)

    def command(self):
        return ['/bin/sh', '-c', 'echo "no | certificate" >&2; exit 3']


class NoProgram(Listening):
    name = 'raises'
    packages = ('raises',)

    def command(self):
        raise FileNotFoundError('no such program')


class Other(Listening):
    name = 'other'
    packages = ('other',)


class Work:
    """A workload whose figure is a number, or whatever `run` does."""

    rounds_max = 100
    unit = 'µs'
    certificate = 'ecdsa'

    def __init__(self, name, run=lambda bench, peer: 2.0):
        self.name, self.title, self.body = name, f'title of {name}', run

    def takes(self, kind, mode):
        return True

    def refusal(self, peer):
        return ''

    def run(self, bench, peer):
        return {self.title: (self.body(bench, peer), self.unit)}


class FakeBench:
    def __init__(self, build, folder, quick):
        self.folder = pathlib.Path(folder)

    def entrant(self, kind, mode, certificate):
        return kind(mode, self.folder / f'{kind.name}-{certificate}', self.folder / certificate, {'none': None}, BUILD)

    def load(self, peer, flags):
        return {}

    def close(self):
        pass


def only(name, failure):
    """A workload's body in which that peer fails."""
    def body(_bench, peer):
        if peer.name == name:
            raise failure
        return 2.0
    return body


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.results = pathlib.Path(folder.name) / 'results'
        self.said = io.StringIO()

    def run_compare(self, kinds, todo, quick=False, rounds=2):
        arguments = argparse.Namespace(results=self.results, quick=quick, rounds=rounds)
        with mock.patch.multiple(compare, Bench=FakeBench, crypto_alone=lambda build: None, machine=lambda: 'a machine',
                                 workloads=lambda: todo), \
                contextlib.redirect_stdout(self.said), contextlib.redirect_stderr(self.said):
            compare.compare(BUILD, [(kind, 'implicit') for kind in kinds], todo, arguments)

    def page(self):
        newest = max(self.results.glob('*.md'), key=os.path.getmtime)
        return newest.read_text(), json.loads(newest.with_suffix('.json').read_text())

    def test_what_fails_is_a_note(self):
        self.run_compare([Listening, Missing, DoesNotStart, NoProgram, Other],
                         [Work('first'), Work('second', only('other', compare.LoadFailed('451 | later\nmore'))),
                          Work('third', only('other', ZeroDivisionError('division by zero'))), Work('fourth')])
        text, results = self.page()
        for note in ('| missing, implicit | – | not installed (bench/compare --install gets it) |',
                     'lame, implicit | – | /bin/sh', '/ certificate |',
                     '| raises, implicit | – | FileNotFoundError: no such program |',
                     '| other, implicit | – | round 1 failed: 451 / later |',
                     '| other, implicit | – | round 1 failed: ZeroDivisionError: division by zero |',
                     '- missing: left out, not installed (bench/compare --install gets it): there is no /nonexistent/proxy'):
            self.assertIn(note, text)
        self.assertNotIn('Not finished', text)
        self.assertNotIn('quick run', text)
        self.assertEqual(list(results['figures']), [f'title of {name}' for name in ('first', 'second', 'third', 'fourth')])
        self.assertEqual(results['figures']['title of fourth']['values'],
                         {'ringpost, implicit': [2.0, 2.0], 'other, implicit': [2.0, 2.0]})
        self.assertIn('missing is left out: not installed', self.said.getvalue())

    def test_a_workload_in_which_all_fail(self):
        def fails(_bench, _peer):
            raise compare.LoadFailed('no')
        self.run_compare([Listening, Other], [Work('first', fails), Work('second')])
        text, _ = self.page()
        self.assertIn('### title of first', text)
        self.assertIn('| ringpost, implicit | – | round 1 failed: no |', text)

    def test_results_are_written_after_each_workload(self):
        seen = []

        def looks(_bench, _peer):
            seen.append(self.page())
            return 1.0

        def stops(_bench, _peer):
            raise SystemExit('stopped')
        with self.assertRaises(SystemExit):
            self.run_compare([Listening], [Work('first'), Work('second', looks), Work('third', stops), Work('fourth')])
        text, results = seen[0]
        self.assertIn('**Not finished: second, third, fourth are missing.**', text)
        self.assertEqual(list(results['figures']), ['title of first'])
        text, results = self.page()
        self.assertEqual(results['unfinished'], ['third', 'fourth'])
        self.assertEqual(list(results['figures']), ['title of first', 'title of second'])
        self.assertEqual(list(self.results.glob('*.part')), [])

    def test_a_peer_that_died_is_started_again(self):
        def dies(_bench, peer):
            peer.process.kill()
            peer.process.wait()
            raise ProcessLookupError('it has gone')

        def needs_it(_bench, peer):
            if peer.process.poll() is not None:
                raise ProcessLookupError('it still has gone')
            return 2.0
        self.run_compare([Listening], [Work('first', dies), Work('second', needs_it)])
        text, results = self.page()
        self.assertIn('| ringpost, implicit | – | round 1 failed: ProcessLookupError: it has gone |', text)
        self.assertEqual(results['figures']['title of second']['values'], {'ringpost, implicit': [2.0, 2.0]})

    def test_a_quick_run_says_so(self):
        self.run_compare([Listening], [Work('first')], quick=True)
        text, results = self.page()
        self.assertIn('**A quick run', text)
        self.assertIn('1 round;', text)
        self.assertTrue(results['quick'])

    def test_earlier_results_of_the_day_stay(self):
        for _ in range(3):
            self.run_compare([Listening], [Work('first')])
        names = sorted(path.stem for path in self.results.glob('*.json'))
        self.assertEqual([name[10:] for name in names], ['', '-2', '-3'])

    def test_where_results_go(self):
        for words, folder in (([], ROOT / 'bench/results'), (['--quick'], BUILD / 'bench-results'),
                              (['bulk'], BUILD / 'bench-results'), (['--peers=nginx'], BUILD / 'bench-results'),
                              (['--quick', '--results=/elsewhere'], pathlib.Path('/elsewhere'))):
            with mock.patch.multiple(compare, compare=mock.DEFAULT, build_programs=mock.DEFAULT, need_cpus=mock.DEFAULT) as mocks, \
                    mock.patch.object(sys, 'argv', ['compare', f'--build={BUILD}', *words]), \
                    contextlib.redirect_stdout(self.said):
                compare.main()
            self.assertEqual(mocks['compare'].call_args.args[3].results, folder, words)
            self.assertIn('bench/bare_relay', mocks['build_programs'].call_args.args)
            self.assertIn('bench/tls_bench', mocks['build_programs'].call_args.args)

    def test_a_name_that_nothing_has(self):
        for words in (['bulky'], ['--peers=envoy']):
            with mock.patch.object(sys, 'argv', ['compare', *words]), self.assertRaises(SystemExit), \
                    contextlib.redirect_stderr(self.said):
                compare.main()
        self.assertIn('there is no bulky', self.said.getvalue())
        self.assertIn('there is no envoy', self.said.getvalue())


class PeerTest(unittest.TestCase):
    def test_what_a_peer_began_ends_with_it(self):
        class Helped(DoesNotStart):
            def command(self):
                self.helpers.append(helper)
                return super().command()
        with tempfile.TemporaryDirectory() as folder:
            helper = compare.start('0', folder, 'helper', [sys.executable, '-c', LISTENER, free_port(), 60])
            with self.assertRaises(Unavailable) as raised:
                Helped('implicit', pathlib.Path(folder, 'peer'), None, {'none': None}, BUILD)
            self.assertIsNotNone(helper.poll())
        self.assertIn('no | certificate', str(raised.exception))


RINGPOST_SAYS = ('2026-11-30T09:00:00.000Z info session route=mx client=127.0.0.1:40000 server=127.0.0.1:25 tls=TLSv1.3 '
                 'suite=TLS_AES_128_GCM_SHA256 group=X25519MLKEM768 resumed={} sni=none messages=2\n')
OPENSSL_SAYS = 'session tls=TLSv1.3 suite=TLS_AES_128_GCM_SHA256 resumed={}\n'
IN_CLEAR = '2026-11-30T09:00:00.000Z info session route=mx client=127.0.0.1:1 server=127.0.0.1:25 tls=none messages=0\n'


class FakeEgress:
    """A peer for mail that leaves, whose partner says what it has seen."""

    tls, verifies = 'egress', True

    def __init__(self, said):
        self.said, self.partner = said, self

    def call(self, _kind, _resumes):
        return False

    def cpu_ns(self):
        return 0

    def settle(self):
        pass

    def mark(self):
        return 0

    def wait(self, _mark, _sessions):
        return Handshakes(self.said)


class EgressTest(unittest.TestCase):
    def run_workload(self, name, said):
        workload = next(workload for workload in compare.workloads() if workload.name == name)
        bench = mock.Mock()
        bench.load.return_value = {'connections': 2, 'messages': 2}
        return workload.run(bench, FakeEgress(said))

    def test_what_a_partner_has_seen(self):
        seen = Handshakes(RINGPOST_SAYS.format('yes') + IN_CLEAR + RINGPOST_SAYS.format('no'))
        self.assertEqual((seen.count, seen.resumed, seen.share), (2, 1, 0.5))
        self.assertEqual(seen.kinds, {'TLSv1.3 TLS_AES_128_GCM_SHA256 X25519MLKEM768'})
        seen = Handshakes(OPENSSL_SAYS.format('no') * 3)
        self.assertEqual((seen.count, seen.resumed, seen.kinds), (3, 0, {'TLSv1.3 TLS_AES_128_GCM_SHA256'}))

    def test_handshakes_are_of_the_kind_that_is_measured(self):
        full, resumed = OPENSSL_SAYS.format('no'), OPENSSL_SAYS.format('yes')
        for name, said, why in (('egress_handshake', full + resumed, '1 of 2 handshakes were resumed'),
                                ('egress_handshake', IN_CLEAR, 'no TLS session reached the partner'),
                                ('egress_resumed', full + full, 'it resumed none of its sessions'),
                                ('egress_hybrid', full, 'X25519MLKEM768 was wanted')):
            with self.assertRaisesRegex(compare.LoadFailed, why):
                self.run_workload(name, said)
        self.assertEqual(len(self.run_workload('egress_handshake', full * 2)), 1)
        self.assertEqual(len(self.run_workload('egress_hybrid', RINGPOST_SAYS.format('no'))), 1)
        share = [figure for title, figure in self.run_workload('egress_resumed', full + resumed).items() if 'share' in title]
        self.assertEqual(share, [(50.0, '%')])

    def test_goals_beside_mail_that_arrives(self):
        figures = {'mail that leaves: messages': {'values': {'ringpost, egress': [22.0], 'ringpost, starttls': [20.0]}},
                   'mail that leaves: other': {'values': {'ringpost, egress': [1.0]}}}
        self.assertIn('| messages | ≤ 1.15 of what mail that arrives needs | 1.10 |', egress_goals(figures))
        self.assertEqual(len(egress_goals(figures)), 4)
        self.assertEqual(egress_goals({}), [])

    def test_postfix_takes_part_with_one_message_for_each_connection(self):
        kind = next(kind for kind, mode in ENTRANTS if kind.name == 'Postfix smtp')
        names = [workload.name for workload in compare.workloads() if workload.takes(kind, 'egress') and not workload.refusal(kind)]
        self.assertEqual([name for name in names if name != 'egress_hybrid'], ['egress_message1', 'egress_resumed'])

    @unittest.skipUnless({0, int(LOAD_CPU)} <= os.sched_getaffinity(0), 'it measures on two CPUs')
    def test_a_quick_run(self):
        kinds = [(kind, mode) for kind, mode in ENTRANTS
                 if mode == 'egress' and not kind.absent() and (os.geteuid() == 0 or not kind.packages)]
        todo = [workload for workload in compare.workloads()
                if workload.name in ('egress_handshake', 'egress_message1', 'egress_hybrid', 'egress_idle')]
        with tempfile.TemporaryDirectory() as results, contextlib.redirect_stdout(io.StringIO()) as said, \
                contextlib.redirect_stderr(said), \
                mock.patch.multiple(compare, crypto_alone=lambda build: None, MailClients=mock.Mock(), IDLE_SECONDS=1):
            compare.compare(BUILD, kinds, todo, argparse.Namespace(results=pathlib.Path(results), quick=True, rounds=1))
            figures = json.loads(next(pathlib.Path(results).glob('*.json')).read_text())['figures']
        for workload in todo:
            self.assertIn('ringpost, egress', figures[workload.title]['values'], said.getvalue())
        for kind, mode in kinds:
            self.assertIn(f'{kind.name}, {mode}', figures[todo[1].title]['values'], said.getvalue())


class PrepareTest(unittest.TestCase):
    def test_what_cannot_be_built_is_a_sentence(self):
        said = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, mock.patch('prepare.is_configured', return_value=True), \
                self.assertRaises(SystemExit) as raised, contextlib.redirect_stderr(said):
            pathlib.Path(folder, 'build.ninja').write_text('')
            compare.build_programs(folder, 'bench/no_such_program')
        self.assertIn('bench/no_such_program could not be built', str(raised.exception))
        self.assertIn('unknown target', said.getvalue())

    def test_a_cpu_that_is_not_there(self):
        with self.assertRaises(SystemExit) as raised:
            compare.need_cpus('0', '99999')
        self.assertIn('may not use CPU', str(raised.exception))


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
