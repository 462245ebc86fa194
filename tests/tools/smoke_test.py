#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ringpost-sink and ringpost-load against each other, and against Python's TLS.

Usage: smoke_test.py SINK LOAD MAKE_CERTS [unittest arguments]

Every port is the kernel's choice; everything is on loopback; every wait is for an event and has a bound.
"""
import json
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SINK, LOAD, MAKE_CERTS = sys.argv[1:4]
BOUND = 30  # seconds for any one step


class Sink:
    """A running ringpost-sink; stopped, and its exit checked, at the end of the `with`."""

    def __init__(self, *flags, listen='127.0.0.1:0'):
        self.process = subprocess.Popen(
            [SINK, '--listen=' + listen, *flags], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith('ringpost-sink: listening on '), line
        self.names = line.split(' on ')[1].strip().split(', ')
        self.address = self.names[0]
        self.output = ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.output = self.process.communicate(timeout=BOUND)[0]
        assert self.process.returncode == 0, self.process.returncode

    def connect(self, index=0):
        name = self.names[index]
        if name.startswith('unix:'):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(BOUND)
            client.connect(name[5:])
            return client
        host, port = name.rsplit(':', 1)
        return socket.create_connection((host.strip('[]'), int(port)), timeout=BOUND)


def load(target, *flags):
    """Runs ringpost-load to its end; its exit code and its JSON."""
    run = subprocess.run([LOAD, '--json', '--target=' + target, '--timeout=10s', *flags],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=2 * BOUND)
    return run.returncode, json.loads(run.stdout) if run.stdout else run.stderr


def read_all(client):
    """Everything up to the end of the connection; a reset becomes None."""
    octets = b''
    try:
        while part := client.recv(65536):
            octets += part
    except ConnectionResetError:
        return None
    return octets


def codes(text):
    return ' '.join(line[:3] for line in text.decode().splitlines() if line[3] == ' ')


MESSAGE = (b'EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n'
           b'Subject: x\r\n\r\n..dot\r\n\xff8 bit\r\n.\r\nQUIT\r\n')
CONTENT = b'Subject: x\r\n\r\n.dot\r\n\xff8 bit\r\n'


class SinkTest(unittest.TestCase):
    def talk(self, octets, *flags):
        with Sink(*flags) as sink:
            try:
                client = sink.connect()
            except ConnectionResetError:  # a reset can be there before connect has returned
                return None
            with client:
                client.sendall(octets)
                return read_all(client)

    def test_stores_the_content_and_the_envelope(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'socket')
            with Sink('--store=' + folder, '--print', listen='127.0.0.1:0,[::1]:0,unix:' + path) as sink:
                for index in range(3):
                    with sink.connect(index) as client:
                        client.sendall(MESSAGE)
                        self.assertEqual(codes(read_all(client)), '220 250 250 250 354 250 221')
            self.assertEqual(sorted(n for n in os.listdir(folder) if n != 'socket'),
                             [f'00000{n}.{kind}' for n in (1, 2, 3) for kind in ('eml', 'json')])
            clients = []
            for number in (1, 2, 3):
                base = os.path.join(folder, f'00000{number}')
                with open(base + '.eml', 'rb') as file:
                    self.assertEqual(file.read(), CONTENT)
                with open(base + '.json', encoding='utf-8') as file:
                    envelope = json.load(file)
                self.assertEqual(envelope['recipients'], ['c@d.example'])
                self.assertEqual(envelope['octets'], len(CONTENT))
                clients.append(envelope['client'])
            self.assertEqual(clients, ['127.0.0.1', '::1', 'unix'])
        lines = sink.output.splitlines()
        self.assertEqual(sum(line.startswith('message ') for line in lines), 3)
        self.assertEqual(sum(line.startswith('session ') for line in lines), 3)
        self.assertEqual(lines[-1], f'ringpost-sink: 3 sessions, 3 messages, {3 * len(CONTENT)} octets')

    def test_a_part_of_a_message_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            with Sink('--store=' + folder) as sink:
                with sink.connect() as client:
                    client.sendall(MESSAGE[:-12])
                    client.shutdown(socket.SHUT_WR)
                    self.assertEqual(codes(read_all(client)), '220 250 250 250 354')
            self.assertEqual(os.listdir(folder), [])

    # PROTOCOL 37
    def test_proxy_header(self):
        header = (b'\r\n\r\n\0\r\nQUIT\n\x21\x11' + struct.pack('>H', 12) +
                  socket.inet_aton('192.0.2.1') + socket.inet_aton('198.51.100.2') +
                  struct.pack('>HH', 4711, 25))
        with Sink('--identity=proxy', '--print') as sink:
            for first in (header, b'PROXY TCP6 2001:db8::1 2001:db8::2 4712 25\r\n'):
                with sink.connect() as client:
                    client.sendall(first + MESSAGE)
                    self.assertEqual(codes(read_all(client)), '220 250 250 250 354 250 221')
            for wrong in (MESSAGE, b'PROXY TCP4 192.0.2.1\r\n'):
                with sink.connect() as client:
                    client.sendall(wrong)
                    self.assertIn(read_all(client), (b'', None))
        messages = [json.loads(line[8:]) for line in sink.output.splitlines()
                    if line.startswith('message ')]
        self.assertEqual([(m['identity'], m['client'], m['client_port']) for m in messages],
                         [('proxy-v2', '192.0.2.1', 4711), ('proxy-v1', '2001:db8::1', 4712)])

    def test_faults_on_the_wire(self):
        self.assertEqual(self.talk(MESSAGE, '--fault=close_at_connect'), b'')
        self.assertIsNone(self.talk(MESSAGE, '--fault=reset_at_connect'))
        self.assertIsNone(self.talk(MESSAGE, '--fault=reset_in_data'))
        self.assertEqual(codes(self.talk(MESSAGE, '--fault=close_in_data')), '220 250 250 250 354')
        self.assertEqual(codes(self.talk(MESSAGE, '--fault=421_at_mail')), '220 250 421')
        self.assertEqual(codes(self.talk(b'EHLO x\r\nQUIT\r\n', '--fault=slow')), '220 250 221')

    def test_delays_keep_the_replies_in_order(self):
        replies = self.talk(MESSAGE, '--banner_delay=5', '--reply_delay=2')
        self.assertEqual(codes(replies), '220 250 250 250 354 250 221')

    def test_what_is_acknowledged_survives_a_kill(self):
        # The killer strikes after the message was stored and before the answer; the next sink in the same
        # folder goes on behind it, and leaves alone what half a message has left.
        with tempfile.TemporaryDirectory() as folder:
            for round_number in (1, 2):
                sink = Sink('--store=' + folder, '--final_delay=60000')
                with sink.connect() as client, sink.connect() as half:
                    half.sendall(MESSAGE[:-20])
                    client.sendall(MESSAGE)
                    path = f'{folder}/{round_number:06}.eml'
                    ready = time.monotonic() + BOUND
                    while not os.path.exists(path) and time.monotonic() < ready:
                        time.sleep(0.005)
                    sink.process.kill()
                    self.assertEqual(sink.process.wait(), -signal.SIGKILL)
                    self.assertNotIn(b'accepted', read_all(client) or b'')
                sink.process.stdout.close()
                with open(path, 'rb') as file:
                    self.assertEqual(file.read(), b'Subject: x\r\n\r\n.dot\r\n\xff8 bit\r\n')
            self.assertEqual(sorted(name for name in os.listdir(folder) if name.endswith('.eml')),
                             ['000001.eml', '000002.eml'])

    def test_echo_says_what_a_reply_is_about(self):
        with tempfile.TemporaryDirectory() as folder:
            replies = self.talk(MESSAGE, '--store=' + folder, '--echo', '--hostname=s.example').decode()
            self.assertIn('250 2.1.0 Ok s.example a@b.example\r\n250 2.1.5 Ok s.example c@d.example\r\n', replies)
            self.assertIn('250 2.0.0 Ok: message accepted s.example 1\r\n', replies)

    def test_a_silent_sink_still_stops(self):
        with Sink('--fault=no_greeting') as sink, sink.connect() as client:
            client.sendall(b'EHLO x\r\n')
            self.assertEqual(select.select([client], [], [], 0.05)[0], [])

    def test_a_client_that_does_not_read_is_not_read_from(self):
        with Sink() as sink, sink.connect() as client:
            client.setblocking(False)
            sent = 0
            # Bounded memory: once its replies are not taken, the sink stops reading and we cannot send.
            while sent < 1 << 30 and select.select([], [client], [], 1)[1]:
                try:
                    sent += client.send(b'NOOP\r\n' * 10000)
                except BlockingIOError:
                    continue
            self.assertLess(sent, 1 << 30)

    def test_bad_flags_are_one_sentence(self):
        for flags in (['--listen=x'], ['--identity=x'], ['--fault=x'], ['--buffers=1'], ['word'],
                      ['--store=/dev/null/x'], ['--reply_delay=-1'], ['--final_delay=-1'], ['--listen=']):
            run = subprocess.run([SINK, *flags], capture_output=True, text=True, timeout=BOUND)
            self.assertEqual(run.returncode, 1, flags)
            self.assertEqual(run.stderr.count('\n'), 1, run.stderr)
            self.assertTrue(run.stderr.startswith('ringpost-sink: '), run.stderr)


class LoadTest(unittest.TestCase):
    def test_data_and_bdat_arrive_as_they_are(self):
        contents = []
        for flags in (['--bdat'], ['--bdat', '--pipelining=off'], ['--pipelining=off'], []):
            with tempfile.TemporaryDirectory() as folder:
                with Sink('--store=' + folder) as sink:
                    code, result = load(sink.address, '--tls=plain', '--total=3', '--messages=2',
                                        '--connections=2', '--size=300000', *flags)
                self.assertEqual(code, 0, result)
                self.assertEqual(result['connections'], 3)
                self.assertEqual(result['messages'], 6)
                self.assertEqual(result['octets'], 6 * 300000)
                self.assertEqual(result['latency_us']['message']['count'], 6)
                self.assertEqual(result['latency_us']['session_ready']['count'], 3)
                names = [n for n in os.listdir(folder) if n.endswith('.eml')]
                self.assertEqual(len(names), 6)
                for name in names:
                    with open(os.path.join(folder, name), 'rb') as file:
                        contents.append(file.read())
        self.assertEqual(len(set(contents)), 1)
        self.assertEqual(len(contents[0]), 300000)
        self.assertIn(b'\r\n..', contents[0])

    def test_open_loop_keeps_its_schedule(self):
        with Sink() as sink:
            code, result = load(sink.address, '--tls=plain', '--rate=200', '--total=40',
                                '--connections=40', '--messages=0')
        self.assertEqual(code, 0, result)
        self.assertEqual(result['connections'], 40)
        # 40 arrivals, 5 ms apart: it cannot be over before the last one is due.
        self.assertGreaterEqual(result['seconds'], 39 * 0.005)

    def test_open_loop_counts_a_stall(self):
        # One connection at a time, each 20 ms and more, and 100 due in a second: the queue must show.
        with Sink('--banner_delay=20') as sink:
            code, result = load(sink.address, '--tls=plain', '--rate=100', '--total=20',
                                '--connections=1', '--messages=0')
        self.assertEqual(code, 0, result)
        # The twentieth is due at 190 ms and cannot be greeted before 20 * 20 ms.
        self.assertGreaterEqual(result['latency_us']['greeting']['max'], 200000)

    def test_idle_sessions_are_held_and_end_well(self):
        with Sink() as sink:
            code, result = load(sink.address, '--tls=plain', '--idle=200', '--duration=100ms')
        self.assertEqual(code, 0, result)
        self.assertEqual(result['latency_us']['session_ready']['count'], 200)
        self.assertIn('200 sessions, 0 messages', sink.output)

    def test_failures_have_their_names(self):
        for fault, kind in (('close_at_connect', 'closed'), ('greeting_554', 'greeting'),
                            ('reject_mail', 'mail'), ('reject_rcpt', 'mail'), ('reject_data', 'mail'),
                            ('reject_final', 'message'), ('bad_reply_code', 'protocol'),
                            ('bare_lf_reply', 'protocol'), ('early_reply', 'protocol'),
                            ('close_after_dot', 'closed'), ('reset_in_data', 'reset')):
            with Sink('--fault=' + fault) as sink:
                code, result = load(sink.address, '--tls=plain', '--total=1')
            self.assertEqual(code, 2, fault)
            self.assertEqual(result['failures'].get(kind), 1, (fault, result['failures']))
            self.assertEqual(result['failures']['total'], 1)
        with Sink() as sink:
            code, result = load(sink.address, '--total=2', '--allow_failures')
            self.assertEqual(code, 0)
            self.assertEqual(result['failures']['starttls'], 2)
        code, result = load(sink.address, '--tls=plain', '--total=1')  # nobody listens any more
        self.assertEqual(code, 2)
        self.assertEqual(result['failures']['connect'], 1)

    def test_a_silent_server_is_a_timeout(self):
        with Sink('--fault=no_greeting') as sink:
            code, result = load(sink.address, '--tls=plain', '--total=1', '--timeout=50ms')
        self.assertEqual(code, 2)
        self.assertEqual(result['failures']['timeout'], 1)

    def test_bad_flags_are_one_sentence(self):
        for flags in (['--target=x'], ['--tls=x'], ['--tls_version=1.1'], ['--groups=x'], ['--size=1'],
                      ['--sources=x'], ['--connections=0'], ['--helo=a b'], ['--ca=/no/such/file'],
                      ['word']):
            run = subprocess.run([LOAD, *flags], capture_output=True, text=True, timeout=BOUND)
            self.assertEqual(run.returncode, 1, flags)
            self.assertEqual(run.stderr.count('\n'), 1, run.stderr)
            self.assertTrue(run.stderr.startswith('ringpost-load: '), run.stderr)


class TlsServer:
    """SMTP with TLS by Python's ssl, one thread per connection: what ringpost-load is tested against."""

    def __init__(self, folder, implicit=False, after_starttls=b''):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(folder, 'ecdsa.pem'),
                                     os.path.join(folder, 'ecdsa.key'))
        self.implicit = implicit
        self.after_starttls = after_starttls
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.threads = []
        self.errors = []
        self.names = []  # the SNI of each handshake
        self.reused = 0
        self.octets = []
        self.lock = threading.Lock()
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(BOUND)
        for thread in self.threads:
            thread.join(BOUND)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(BOUND)
            thread = threading.Thread(target=self.serve, args=(client,))
            self.threads.append(thread)
            thread.start()

    def serve(self, client):
        sockets = [client]  # the one in use is the last: TLS makes another of it
        try:
            self.dialogue(sockets)
        except OSError as error:
            with self.lock:
                self.errors.append(str(error))
        finally:
            for used in sockets:
                used.close()

    def secure(self, sockets):
        self.context.sni_callback = lambda _s, name, _c: self.names.append(name)
        client = self.context.wrap_socket(sockets[-1], server_side=True,
                                          do_handshake_on_connect=False)
        sockets.append(client)
        client.do_handshake()
        with self.lock:
            self.reused += client.session_reused
        return client

    def dialogue(self, sockets):
        client = self.secure(sockets) if self.implicit else sockets[-1]
        secured = self.implicit
        stream = client.makefile('rwb')

        def reply(text):
            stream.write(text + b'\r\n')
            stream.flush()

        reply(b'220 h ESMTP')
        while line := stream.readline():
            verb = line.strip().upper().split(b' ')[0]
            if verb == b'EHLO':
                reply(b'250-h\r\n250 PIPELINING' if secured else b'250-h\r\n250 STARTTLS')
            elif verb == b'STARTTLS':
                stream.write(b'220 go\r\n' + self.after_starttls)
                stream.flush()
                client, secured = self.secure(sockets), True
                stream = client.makefile('rwb')
            elif verb == b'DATA':
                reply(b'354 go')
                octets = 0
                while (part := stream.readline()) != b'.\r\n':
                    octets += len(part) - part.startswith(b'.')
                with self.lock:
                    self.octets.append(octets)
                reply(b'250 Ok')
            elif verb == b'QUIT':
                reply(b'221 Bye')
                try:
                    client.unwrap()
                except OSError:
                    pass
                return
            else:
                reply(b'250 Ok')


class LoadTlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([MAKE_CERTS, cls.folder.name], check=True, capture_output=True, timeout=BOUND)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_starttls_and_implicit_in_both_versions(self):
        for implicit in (False, True):
            for version in ('1.2', '1.3'):
                with self.subTest(implicit=implicit, version=version):
                    with TlsServer(self.folder.name, implicit) as server:
                        code, result = load(server.address,
                                            '--tls=' + ('implicit' if implicit else 'starttls'),
                                            '--tls_version=' + version, '--total=3', '--messages=2',
                                            '--size=100000', '--connections=2',
                                            '--sni=mx.example.test',
                                            '--ca=' + os.path.join(self.folder.name, 'ca.pem'))
                    self.assertEqual(code, 0, result)
                    self.assertEqual(server.errors, [])
                    self.assertEqual(server.octets, [100000] * 6)
                    self.assertEqual(server.names, ['mx.example.test'] * 3)
                    self.assertEqual(result['tls_version'], 'TLSv' + version)
                    self.assertEqual(result['handshakes'], 3)
                    self.assertEqual(result['connections'], 3)
                    self.assertEqual(result['messages'], 6)

    def test_resumption(self):
        for version in ('1.2', '1.3'):
            for resumption in ('on', 'off'):
                with self.subTest(version=version, resumption=resumption):
                    with TlsServer(self.folder.name) as server:
                        code, result = load(server.address, '--total=4', '--connections=1',
                                            '--messages=0', '--tls_version=' + version,
                                            '--resumption=' + resumption, '--sni=mx.example.test')
                    self.assertEqual(code, 0, result)
                    expected = 3 if resumption == 'on' else 0
                    self.assertEqual(server.reused, expected)
                    self.assertEqual(result['handshakes_resumed'], expected)

    def test_a_certificate_for_another_name_is_refused_with_ca(self):
        with TlsServer(self.folder.name) as server:
            code, result = load(server.address, '--total=1', '--sni=other.example.test',
                                '--ca=' + os.path.join(self.folder.name, 'ca.pem'))
        self.assertEqual(code, 2, result)
        self.assertEqual(result['failures']['tls'], 1)

    def test_octets_behind_the_reply_to_starttls(self):
        with TlsServer(self.folder.name, after_starttls=b'250 injected\r\n') as server:
            code, result = load(server.address, '--total=1')
        self.assertEqual(code, 2)
        self.assertEqual(result['failures']['injection'], 1)

    def test_idle_inside_tls(self):
        with TlsServer(self.folder.name) as server:
            code, result = load(server.address, '--idle=10', '--duration=50ms')
        self.assertEqual(code, 0, result)
        self.assertEqual(result['handshakes'], 10)
        self.assertEqual(server.errors, [])


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
