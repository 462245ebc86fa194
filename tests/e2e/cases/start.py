# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting ringpost: what it refuses, in which words, and what it prints."""

import base64
import errno
import os
import re
import resource
import signal
import socket

from harness import seccomp
from harness.case import Skip, case, check, contains, each, equal, eventually
from harness.process import free_port, run
from harness.ringpost import refuse
from harness.smtp import Client, mail
from harness.world import ROOT


def good_words(world, **changes):
    """Flags that would start, with changes; None leaves one out."""
    settings = {"listen": f"127.0.0.1:{free_port()}", "upstream": "127.0.0.1:10025",
                "cert": f"{world.certs}/ecdsa.pem", "key": f"{world.certs}/ecdsa.key", "shards": 1}
    settings.update(changes)
    return [f"--{key}={value}" for key, value in settings.items() if value is not None]


def refused(world, words, *parts):
    """One sentence that contains `parts`, exit code 1."""
    code, said = refuse(world, *words)
    equal(code, 1, f"exit code; it said {said!r}")
    lines = [line for line in said.splitlines() if line.strip()]
    check(len(lines) == 1 and lines[0].startswith("ringpost: "), f"one sentence: {said!r}")
    for part in parts:
        contains(said, part, "the sentence")
    return said


@case
def the_baseline_is_accepted(world):  # or the cases below show nothing
    code, said = refuse(world, *good_words(world), "--check_config")
    equal(code, 0, f"exit code of --check_config; it said {said!r}")


@each(("unknown flag", {"lissten": "x"}, ("lissten",)),
      ("bad policy", {"tls_policy": "mayy"}, ("--tls_policy", "mayy")),
      ("bad identity", {"backend_identity": "proxy-v3"}, ("--backend_identity", "proxy-v3")),
      ("bad duration", {"command_timeout": "soon"}, ("--command_timeout", "soon")),
      ("bad number", {"shards": "-1"}, ("--shards", "-1")),
      ("bad port", {"listen": "127.0.0.1:70000"}, ("70000",)),
      ("no port", {"listen": "127.0.0.1"}, ("127.0.0.1",)),
      ("host name listener", {"listen": "mx.example.test:25"}, ("mx.example.test", "for upstreams only")),
      ("bad host name", {"upstream": "mail..example.test:25"}, ("mail..example.test", "nor a host name")),
      ("long unix path", {"upstream": "unix:/" + "a" * 200}, ("aaaa",)),
      ("no upstream", {"upstream": None}, ("--upstream",)),
      ("no listener", {"listen": None}, ("--listen",)),
      ("encrypt without certificate", {"tls_policy": "encrypt", "cert": None, "key": None}, ("needs a certificate",)),
      ("implicit TLS without certificate", {"listen_tls": "127.0.0.1:24999", "cert": None, "key": None}, ("needs a certificate",)),
      ("certificate without key", {"key": None}, ("--key",)),
      ("missing file", {"cert": "/nonexistent/cert.pem"}, ("/nonexistent/cert.pem",)),
      ("not a certificate", {"cert": "/etc/hostname"}, ("/etc/hostname",)),
      ("stray word", {"": "x"}, ()), named=True)
def bad_flags(world, variant):
    _, changes, parts = variant
    refused(world, good_words(world, **changes), *parts)


@case
def key_does_not_match(world):  # PROTOCOL 47
    refused(world, good_words(world, key=f"{world.certs}/rsa.key"), "ecdsa.pem", "rsa.key")


def damaged_key(world):
    """An RSA key that belongs to rsa.pem by its public half, but makes no good signature."""
    path = world.folder / "damaged.key"
    code, _, errors = run(["openssl", "rsa", "-in", f"{world.certs}/rsa.key", "-traditional", "-outform", "DER", "-out", f"{path}"])
    equal(code, 0, f"exit code of openssl; it said {errors!r}")
    octets = bytearray(path.read_bytes())
    octets[400] ^= 0x10  # in the private exponent
    octets[-20] ^= 0x10  # in the coefficient
    text = base64.encodebytes(bytes(octets)).decode()
    path.write_text(f"-----BEGIN RSA PRIVATE KEY-----\n{text}-----END RSA PRIVATE KEY-----\n", encoding="ascii")
    path.chmod(0o600)
    return path


@case
def a_key_that_does_not_sign(world):
    """What could serve nobody is refused wherever it is loaded, also as the second certificate."""
    bad = damaged_key(world)
    certs = world.certs
    alone = {"cert": f"{certs}/rsa.pem", "key": bad}
    second = {"cert": f"{certs}/ecdsa.pem,{certs}/rsa.pem", "key": f"{certs}/ecdsa.key,{bad}"}
    for settings in (alone, second):
        for words in ([], ["--check_config"]):
            refused(world, [*good_words(world, **settings), *words], f"{bad} makes no signature")
    key = world.folder / "replaced.key"
    key.write_bytes((certs / "rsa.key").read_bytes())
    key.chmod(0o600)
    with world.private(world.sink.port, cert=f"{certs}/rsa.pem", key=key) as proxy:
        key.write_bytes(bad.read_bytes())
        proxy.process.signal(signal.SIGHUP)
        eventually(lambda: any(event["level"] == "error" and "makes no signature" in event["message"]
                               for event in proxy.events("reload")), "the log says that the reload failed, and why")
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()


@case
def flags_that_add_up(world):
    certs, first, second = world.certs, free_port(), free_port()
    words = [f"--listen=127.0.0.1:{first}", f"--listen=127.0.0.1:{second}", "--upstream=127.0.0.1:10025",
             f"--cert={certs}/ecdsa.pem", f"--key={certs}/ecdsa.key", f"--cert={certs}/rsa.pem", f"--key={certs}/rsa.key"]
    code, output, errors = run([world.ringpost_path, *words, "--check_config"])
    equal(code, 0, f"exit code; it said {errors!r}")
    for part in (f'"127.0.0.1:{first}", "127.0.0.1:{second}"', "ecdsa.pem", "rsa.pem"):
        contains(output, part, "the configuration")
    refused(world, [*words, "--shards=1", "--shards=2"], '--shards is given twice, as "1" and as "2"')
    refused(world, ["--listen=127.0.0.1:1,", "127.0.0.1:2"], "leave out the blank behind the comma")
    refused(world, good_words(world, upstream="inet:127.0.0.1:10025"), "write 127.0.0.1:10025")


@case
def descriptors_do_not_suffice(world):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    with world.private(world.sink.port, limits=lower, ready=False, sessions_max=1000) as proxy:
        equal(proxy.process.wait(), 1, "exit code")
        contains(proxy.log, "open files", "the sentence")
    with world.private(world.sink.port, limits=lower) as proxy:  # unasked, it takes what there is
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()


@each(("key", 0o644, "can read; chmod o-rw "), ("key", 0o666, "can read and change; chmod g-w,o-rw "),
      ("ticket_key_file", 0o666, "can read and change; chmod g-w,o-rw "), ("ticket_key_file", 0o660, "can change; chmod g-w "))
def secret_for_everyone(world, variant):
    """Neither a start nor a reload takes a secret that others can read or change."""
    flag, mode, says = variant
    path = world.folder / f"secret-{flag}-{mode:o}"
    path.write_bytes((world.certs / "ecdsa.key").read_bytes() if flag == "key" else os.urandom(80))
    path.chmod(mode)
    files = {"cert": f"{world.certs}/ecdsa.pem", "key": f"{world.certs}/ecdsa.key", flag: path}
    refused(world, good_words(world, **files), f"{path}", says)
    path.chmod(0o640)
    with world.private(world.sink.port, **files) as proxy:
        path.chmod(mode)
        proxy.process.signal(signal.SIGHUP)
        eventually(lambda: any(event["level"] == "error" and says in event["message"] for event in proxy.events("reload")),
                   "the log says that the reload failed, and why")
        with Client(proxy.address) as client:  # which goes on as before
            client.open(world.tls)
            client.quit()


@each(*((call, error) for call in ("io_uring_setup", "io_uring_enter", "io_uring_register") for error in ("EPERM", "ENOSYS")))
def a_system_call_of_the_ring_is_refused(world, variant):
    """As in a container whose seccomp profile allows only some of them."""
    call, error = variant
    with world.private(world.sink.port, limits=seccomp.without(call, getattr(errno, error)), ready=False) as proxy:
        equal(proxy.process.wait(), 1, "exit code")
        for part in (f"ringpost: io_uring is not allowed here: {call}: ", "seccomp profile"):
            contains(proxy.log, part, "the sentence")
        equal(len(proxy.log.splitlines()), 1, f"lines in {proxy.log}")


@each("idle", "a session")
def a_system_call_of_the_ring_is_refused_later(world, state):
    """What is in the ring never ends then: the process says why, and ends. Nobody is left at the policy service's socket."""
    path = world.folder / f"policy-{state.replace(' ', '-')}.sock"
    out = world.folder / f"out-{state.replace(' ', '-')}.sock"
    with seccomp.Gate("io_uring_enter") as gate, world.private(
            world.sink.port, limits=gate.limits, shards=2, policy_service=f"unix:{path}",
            egress_listen=f"unix:{out}", egress_upstream="127.0.0.1:2500") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            if state == "idle":
                client.quit()
            check(path.exists() and out.exists(), "the policy service's socket, and that of a route")
            gate.shut = True
            for _ in range(8):  # to both shards
                socket.create_connection(proxy.address).close()
            equal(proxy.process.wait(), 1, "exit code")
        said = [event for event in proxy.events("ring") if event["level"] == "error"]
        equal(len(said), 1, f"lines about it in {proxy.log}")
        contains(said[0]["message"], "io_uring is not allowed here: io_uring_enter: Operation not permitted", "the line")
        check(not path.exists() and not out.exists(), "the sockets are gone")


@case
def key_cannot_be_read(world):
    if os.geteuid() != 0:
        raise Skip("wants to run as root, to become somebody else")
    folder = world.folder / "private"
    folder.mkdir(mode=0o700)
    key = folder / "locked.key"
    key.write_bytes((world.certs / "ecdsa.key").read_bytes())
    key.chmod(0o600)
    certificate = world.folder / "public.pem"
    certificate.write_bytes((world.certs / "ecdsa.pem").read_bytes())
    certificate.chmod(0o644)
    words = good_words(world, cert=certificate, key=key)
    code, output, errors = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                world.ringpost_path, *words])
    if "setpriv" in errors or code == 126:
        raise Skip("the build folder is not readable for others")
    equal(code, 1, f"exit code; it said {output + errors!r}")
    contains(errors, "locked.key", "the sentence")


@each("127.0.0.1", "::1")
def port_in_use(world, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        taken = socket.create_server((address, 0), family=family)
    except OSError:
        raise Skip("no IPv6 on loopback") from None
    with taken:
        port = taken.getsockname()[1]
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        refused(world, good_words(world, listen=place), str(port), "in use")


@case
def a_second_ringpost_on_the_same_port(world):  # SO_REUSEPORT must not let two share it unnoticed
    with world.private(world.sink.port) as proxy:
        refused(world, good_words(world, listen=f"127.0.0.1:{proxy.port}"), str(proxy.port), "in use")
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()


@case
def nothing_is_half_started(world):
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{port},127.0.0.1:{taken.getsockname()[1]}"
        refused(world, good_words(world, listen=place), "in use")
    with socket.create_server(("127.0.0.1", port)):
        pass  # the first listener is free again


FILE = """
hostname = "mx.example.test"
shards = 1
command_timeout = "400s"

[tls]
certificates = [{{ cert = "ecdsa.pem", key = "ecdsa.key" }}]

[[upstream]]
name = "sink"
addresses = ["127.0.0.1:{upstream}"]
identity = "proxy-v2"

[[ingress]]
name = "mx"
listen = ["127.0.0.1:{starttls}"]
tls = "may"
upstream = "sink"

[[ingress]]
name = "submissions"
listen = ["127.0.0.1:{implicit}"]
implicit_tls = true
tls = "encrypt"
upstream = "sink"
"""


def config_file(world, change=lambda text: text, **ports):
    """A file beside the certificates, so that relative names work; returns (path, text)."""
    settings = {"upstream": 10025, "starttls": free_port(), "implicit": free_port(), **ports}
    text = change(FILE.format(**settings))
    path = world.certs / f"ringpost-{free_port()}.toml"
    path.write_text(text, encoding="utf-8")
    return path, text


def place_of(text, part):
    """(line, column) of `part`, counted from 1."""
    before = text[:text.index(part)]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@each(("syntax", 'shards = 1', 'shards = = 1', "= 1"), ("unknown key", 'shards = 1', 'shrads = 1', "shrads"),
      ("unknown route key", 'tls = "may"', 'tsl = "may"', "tsl"), ("wrong type", 'shards = 1', 'shards = "one"', '"one"'),
      ("bad policy", 'tls = "may"', 'tls = "mayy"', '"mayy"'),
      ("bad address", 'addresses = ["127.0.0.1:', 'addresses = ["300.0.0.1:', '"300.'),
      ("unknown upstream", 'tls = "may"\nupstream = "sink"', 'tls = "may"\nupstream = "snik"', '"snik"'),
      ("later", '[[upstream]]', '[[admin]]\nname = "x"\n\n[[upstream]]', "[[admin]]"),
      ("egress", '[[upstream]]', '[[egress]]\nname = "x"\n\n[[upstream]]', '"x"'), named=True)
def bad_file(world, variant):
    _, old, new, marked = variant
    path, text = config_file(world, lambda text: text.replace(old, new, 1))
    check(new in text, "the change was made")
    said = refused(world, [f"--config={path}"], str(path))
    line = place_of(text, marked)[0]
    contains(said, f"{path}:{line}:", "file, line and column")
    column = said.split(f"{path}:{line}:", 1)[1].split(":")[0]
    check(column.isdigit(), f"a column in {said!r}")


@case
def missing_file(world):
    refused(world, ["--config=/nonexistent/ringpost.toml"], "/nonexistent/ringpost.toml")


@case
def routes_in_flags_and_file(world):
    path, _ = config_file(world)
    refused(world, [f"--config={path}", "--listen=127.0.0.1:24998"], "--listen")


@case
def file_with_two_routes(world):
    ports = {"starttls": free_port(), "implicit": free_port()}
    path, _ = config_file(world, upstream=world.sink.port, **ports)
    with world.private(None, listen=None, listen_tls=None, cert=None, key=None, hostname=None, shards=None,
                       config=path) as proxy:
        for port, implicit in ((ports["starttls"], None), (ports["implicit"], world.tls)):
            identifier, content = mail()
            with Client(("127.0.0.1", port), implicit=implicit) as client:
                client.open(None if implicit else world.tls)
                equal(client.message(content).code, 250, "reply to the final dot")
                client.quit()
            world.sink.message(identifier.encode())
            equal(proxy.record(client.local)["route"], "submissions" if implicit else "mx", "route of the session line")


@case
def check_config_prints_a_file_that_can_be_used(world):
    path, _ = config_file(world)
    code, output, errors = run([world.ringpost_path, f"--config={path}", "--check_config", "--data_timeout=200s"])
    equal(code, 0, f"exit code; it said {errors!r}")
    contains(output, "400s", "command_timeout of the file") if "400s" in output else contains(output, "6m40s", "command_timeout")
    again = world.certs / "printed.toml"
    again.write_text(output, encoding="utf-8")
    code, second, errors = run([world.ringpost_path, f"--config={again}", "--check_config"])
    equal(code, 0, f"exit code with the printed file; it said {errors!r}")
    equal(second, output, "printed again")


@case
def check_config_finds_a_port_in_use(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for listen in (f"127.0.0.1:{port}", f"0.0.0.0:{port}"):
            refused(world, [*good_words(world, listen=listen), "--check_config"], f"{listen} is already in use by",
                    f"(pid {os.getpid()})")
        refused(world, [*good_words(world, policy_service=f"127.0.0.1:{port}"), "--check_config"], "is already in use by")
    refused(world, [*good_words(world, listen="192.0.2.1:2525"), "--check_config"], "no address 192.0.2.1:2525")


@case
def check_config_beside_the_ringpost_that_it_is_for(world):
    """As before a reload: what ringpost has itself is no failure, and nobody is disturbed."""
    policy = world.folder / "policy-socket"
    with world.private(world.sink.port, policy_service=f"unix:{policy}") as proxy:
        words = [word for word in proxy.command[1:] if not word.startswith("--log_format")]
        with Client(proxy.address) as client:
            client.open(world.tls)
            code, output, errors = run([world.ringpost_path, *words, "--check_config"])
            equal(code, 0, f"exit code; it said {errors!r}")
            for place in (f"127.0.0.1:{proxy.port}", f"127.0.0.1:{proxy.implicit_port}", f"unix:{policy}"):
                contains(errors, f"(pid {proxy.process.pid}) has {place} already", "what it said")
            contains(errors, "ringpost: the configuration is valid", "what it said")
            check("valid" not in output, f"the file alone on standard output: {output!r}")
            client.quit()
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()


@case
def check_config_and_the_other_family(world):
    """A socket at [::] may have the port of IPv4 as well, or not."""
    if not socket.has_dualstack_ipv6():
        raise Skip("no IPv6")
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        port = taken.getsockname()[1]
        refused(world, [*good_words(world, listen=f"0.0.0.0:{port}"), "--check_config"], f"(pid {os.getpid()})")
    with world.private(world.sink.port) as proxy:
        with socket.create_server(("::", proxy.port), family=socket.AF_INET6):
            code, said = refuse(world, *good_words(world, listen=f"127.0.0.1:{proxy.port}"), "--check_config")
            equal(code, 0, f"exit code; it said {said!r}")
            contains(said, f"(pid {proxy.process.pid}) has 127.0.0.1:{proxy.port} already", "what it said")


@case
def check_config_of_somebody_who_may_not_look(world):
    if os.geteuid() != 0:
        raise Skip("wants to run as root, to become somebody else")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output, errors = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", world.ringpost_path,
                                    f"--listen=127.0.0.1:{port},127.0.0.1:25", "--upstream=127.0.0.1:10025", "--shards=1",
                                    "--check_config"])
    if "setpriv" in errors or code == 126:
        raise Skip("the build folder is not readable for others")
    equal(code, 0, f"exit code; it said {output + errors!r}")
    contains(errors, f"warning: the address 127.0.0.1:{port} is already in use, and this user cannot see", "what it said")
    contains(errors, "warning: this user may not listen on 127.0.0.1:25", "what it said")
    contains(errors, "the configuration is valid", "what it said")


@case
def check_config_finds_a_missing_folder(world):
    policy = f"unix:{world.folder}/nowhere/policy"
    for words in ([], ["--check_config"]):
        refused(world, [*good_words(world, policy_service=policy), *words], "the folder of the policy service's socket",
                "does not exist")
    plain = world.folder / "no-socket"
    plain.write_text("x", encoding="utf-8")
    for words in ([], ["--check_config"]):
        refused(world, [*good_words(world, policy_service=f"unix:{plain}"), *words], "is no socket")
    check(plain.exists(), "the file in the way is still there")
    code, said = refuse(world, *good_words(world, upstream=f"unix:{world.folder}/nowhere/mta"), "--check_config")
    equal(code, 0, f"exit code; the mail server may come later; it said {said!r}")
    contains(said, f"warning: upstream \"default\": there is no folder {world.folder}/nowhere", "what it said")


@case
def check_config_prints_the_warnings_of_a_start(world):
    pki = world.pki
    old = pki["self-signed and expired"]
    key = world.folder / "expired.key"
    key.touch(mode=0o600)
    key.write_bytes(old.key_path.read_bytes())
    settings = {"cert": old.cert_path, "key": key, "client_ca": pki.ca_a, "crl": pki.stale_crl,
                "command_timeout": "10s", "backend_identity": "none"}
    code, said = refuse(world, *good_words(world, hostname="mx.example.test", **settings), "--check_config")
    equal(code, 0, f"exit code; it said {said!r}")
    marker = "ringpost: warning: "
    printed = [line.removeprefix(marker) for line in said.splitlines() if line.startswith(marker)]
    for part in ("expired on", "is out of date since", "command_timeout is 10s", "identity none"):
        check(any(part in line for line in printed), f"{part!r} in {printed}")
    contains(said, "the configuration is valid", "what it said")
    with world.private(world.sink.port, listen_tls=None, **settings) as proxy:
        logged = [event["message"] for component in ("certificate", "trust", "config") for event in proxy.events(component)
                  if event["level"] == "warning"]
        equal(sorted(printed), sorted(logged), "warnings of --check_config and of the start")


@case
def list_ciphers(world):  # PROTOCOL 24
    code, output, _ = run([world.ringpost_path, "--list_ciphers"])
    equal(code, 0, "exit code")
    for word in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "X25519MLKEM768",
                 "X25519"):
        contains(output, word, "--list_ciphers")
    for word in ("CBC", "RC4", "DHE_RSA_WITH_AES_128_CBC", "TLS_RSA_WITH", "NULL", "FFDHE"):
        check(word not in output.upper(), f"{word} in {output!r}")


@each("help", "version")
def help_and_version(world, flag):
    code, output, errors = run([world.ringpost_path, f"--{flag}"])
    equal(code, 0, f"exit code of --{flag}; {errors!r}")
    contains(output, "ringpost", f"--{flag}")
    if flag == "help":
        for name in ("--listen", "--listen_tls", "--upstream", "--tls_policy", "--backend_identity", "--bare_newline",
                     "--check_config", "--drain_timeout"):
            contains(output, name.lstrip("-"), "--help")


@each("text", "json")
def start_is_logged(world, log_format):
    with world.private(world.sink.port, log_format=log_format) as proxy:
        for part in (f"127.0.0.1:{proxy.port}", f"127.0.0.1:{proxy.implicit_port}", f"127.0.0.1:{world.sink.port}",
                     "mx.example.test", "expires", "memory", "ecdsa.pem", "rsa.pem", "proxy-v2"):
            contains(proxy.log, part, "the log at start")


@case
def identity_none_is_warned_about(world):
    with world.private(world.mx.plain_port, backend_identity="none") as proxy:
        check(any("warning" in line and "identity" in line for line in proxy.log.splitlines()), f"a warning in {proxy.log}")


@case
def without_a_certificate_starttls_is_not_offered(world):
    with world.private(world.sink.port, cert=None, key=None, listen_tls=None) as proxy:
        check("warning" in proxy.log, f"a warning in {proxy.log}")
        with Client(proxy.address) as client:
            check("STARTTLS" not in client.open().texts, "STARTTLS is offered")
            client.expect("STARTTLS", 502)
            client.quit()


@case
def session_line_as_json(world):
    proxy = world.sink_proxy()
    with Client(proxy.address, source="127.0.0.6") as client:
        client.open(world.tls)
        equal(client.message(mail()[1]).code, 250, "reply to the final dot")
        client.quit()
    session = proxy.record(client.local)
    for key, value in {"client": f"127.0.0.6:{client.local[1]}", "server": f"127.0.0.1:{proxy.port}", "tls": "TLSv1.3",
                       "resumed": False, "sni": "mx.example.test", "messages": 1, "refused": 0, "refused_commands": 0, "bare_newlines": 0,
                       "reason": "quit", "level": "info"}.items():
        equal(session.get(key), value, f"{key} in {session}")
    for key in ("time", "route", "suite", "group", "octets_in", "octets_out", "content", "seconds", "upstream"):
        check(key in session, f"{key} in {session}")
    check(session["octets_in"] > session["content"] > 0, f"octets in {session}")


@case
def the_session_line_leads_to_the_mail_servers(world):
    """The name in EHLO, the sender's domain, and the queue id in what Postfix says to the message."""
    proxy = world.proxy()
    with Client(proxy.address) as client:
        client.greeting()
        client.expect("EHLO host.client.example.test", 250)
        client.expect("MAIL FROM:<alice@Client.Example.test> SIZE=100", 250)
        client.expect("RCPT TO:<bob@example.test>", 250)
        client.expect("DATA", 354)
        client.send(mail()[1] + b".\r\n")
        stored = client.reply().raw
        client.quit()
    session = proxy.record(client.local)
    equal((session["helo"], session["sender"]), ("host.client.example.test", "client.example.test"), f"{session}")
    check(" queued as " in session["accepted"], f"the queue id: {session}")
    equal(f"250 {session['accepted']}\r\n".encode(), stored, "what Postfix said")


@each("start", "--check_config")
def a_log_file_that_cannot_be_made(world, variant):
    words = good_words(world, log_file=world.folder / "nowhere" / "ringpost.log")
    refused(world, words + ([variant] if variant != "start" else []), "cannot open the log file ",
            "nowhere/ringpost.log: No such file or directory")


@case
def a_log_file_is_opened_anew(world):
    """As logrotate has it: the file is moved away, then SIGHUP. What cannot be opened changes nothing."""
    folder = world.folder / "logs"
    folder.mkdir()
    path, moved, apart = folder / "ringpost.log", folder / "ringpost.log.1", world.folder / "logs-apart"

    def greeted(proxy):
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()
        return f" client=127.0.0.1:{client.local[1]} "

    def holds(where, text):
        eventually(lambda: where.exists() and text in where.read_text(), f"{text!r} in {where.name}")

    with world.private(world.sink.port, log_file=path, log_format="text", ready=False) as proxy:
        holds(path, "ringpost: ready")
        equal(path.stat().st_mode & 0o777, 0o640, "the file's mode")
        holds(path, greeted(proxy))
        path.rename(moved)
        proxy.process.signal(signal.SIGHUP)
        holds(path, "reload: done: 0 change(s)")
        seen = greeted(proxy)
        holds(path, seen)
        check(seen not in moved.read_text(), "the file that was moved is not written to any more")
        folder.rename(apart)
        proxy.process.signal(signal.SIGHUP)
        holds(apart / path.name, f"cannot open the log file {path}: No such file or directory; the log goes on")
        holds(apart / path.name, greeted(proxy))
    equal(proxy.process.log, "", "what is on standard error")


@case
def session_line_as_text(world):
    with world.private(world.sink.port, log_format="text") as proxy:
        with Client(proxy.address) as client:
            client.open(world.tls)
            client.quit()
        line = eventually(lambda: next((line for line in proxy.log.splitlines() if f"client=127.0.0.1:{client.local[1]}" in line),
                                       None), "the session line")
        for part in ("tls=TLSv1.3", "sni=mx.example.test", "messages=0", "reason=quit"):
            contains(line, part, "the session line")


@case
def bare_newlines_are_counted(world):
    with Client(world.sink_proxy().address) as client:
        client.open()
        client.envelope()
        client.expect("DATA", 354)
        client.send(mail()[1] + b"one\ntwo\rthree\r\n.\r\n")
        equal(client.reply().code, 250, "reply to the final dot")
        client.quit()
    equal(world.sink_proxy().record(client.local)["bare_newlines"], 2, "bare newlines in the session line")


@each("starttls", "implicit", "plain")
def load_generator(world, kind):
    proxy = world.sink_proxy()
    port = proxy.implicit_port if kind == "implicit" else proxy.port
    code, output, errors = run([world.load_path, f"--target=127.0.0.1:{port}", f"--tls={kind}", "--connections=8",
                                "--total=40", "--messages=2", "--size=4096", "--json"], seconds=60)
    equal(code, 0, f"exit code of ringpost-load: {output}{errors}")
    contains(output, "p99", "its result")


@case
def load_generator_with_post_quantum_groups(world):  # PROTOCOL 24: OpenSSL 3.0 has none of them
    proxy = world.sink_proxy()
    for version, group, named in (("1.3", "X25519MLKEM768", "X25519MLKEM768"), ("1.3", "X25519", "X25519"),
                                  ("1.2", "X25519", "X25519")):
        before = len(proxy.records())
        code, output, errors = run([world.load_path, f"--target=127.0.0.1:{proxy.port}", "--tls=starttls",
                                    "--connections=1", "--total=1", "--messages=1", f"--tls_version={version}",
                                    f"--groups={group}"], seconds=60)
        equal(code, 0, f"exit code of ringpost-load: {output}{errors}")
        eventually(lambda: len(proxy.records()) > before, "the session line")
        session = proxy.records()[-1]
        equal((session["tls"], session["group"], session["messages"]), (f"TLSv{version}", named, 1), "the session line")


@case(slow=True)
def quickstart_once(world):
    for port in (2525, 2465):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise Skip(f"port {port} is taken")
    code, output, errors = run([ROOT / "tools/quickstart", "--once"], seconds=100,
                               environment={"RINGPOST_BUILD": str(world.build)})
    equal(code, 0, f"exit code; it said {output}{errors}")
    contains(output, "3 of 3 messages arrived", "its output")
    for address in ("127.0.0.2", "127.0.0.3"):
        contains(output, f"client called from {address}, the backend saw {address}", "its output")
    equal(len(re.findall(r"TLSv1\.3, TLS_\w+, X25519", output)), 2, "negotiated versions, suites and groups")
    check(re.search(r"as sender +level=secure certificate=verified tls=TLSv1\.3 group=X25519\w* messages=1\n", output),
          f"the sender's facts: {output}")
    check(re.search(r"as partner +client=127\.0\.0\.1:\d+ tls=TLSv1\.3 group=X25519\w* messages=1\n", output),
          f"the partner's facts: {output}")
    contains(output, "the backend behind it saw 127.0.0.1 with TLSv1.3", "its output")
    code, output, errors = run([ROOT / "tools/quickstart", "--twice"])
    equal((code, len(errors.splitlines())), (1, 1), "exit code and sentences for an unknown option")
    code, output, errors = run([ROOT / "tools/quickstart", "--help"])
    equal((code, errors), (0, ""), "exit code and errors of --help")
    contains(output, "The first run compiles for about", "--help")
