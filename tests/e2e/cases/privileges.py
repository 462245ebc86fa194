# SPDX-License-Identifier: GPL-3.0-or-later
"""Less than root: who the process is, and what it may do, once root has started it."""

import os
import signal
import socket
from pathlib import Path

from harness.case import Skip, case, check, contains, equal, eventually
from harness.configured import Layout
from harness.names import NameServer
from harness.namespace import private_network
from harness.process import run
from harness.ringpost import refuse
from harness.smtp import Client

NOBODY = "nobody"
NET_BIND_SERVICE, DAC_READ_SEARCH = 1 << 10, 1 << 2


def need_root():
    if os.geteuid() != 0:
        raise Skip("wants to run as root, to become somebody else")


def threads(proxy):
    """What /proc says of each thread, the main thread first."""
    tasks = sorted(Path(f"/proc/{proxy.process.pid}/task").iterdir(), key=lambda path: int(path.name))
    return [dict(line.split(":", 1) for line in (task / "status").read_text().splitlines()) for task in tasks]


def capabilities(facts):
    return [int(facts[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")]


def expect_identity(proxy, kept):
    every = threads(proxy)
    check(len(every) >= 3, "main, log and shard threads")
    for index, facts in enumerate(every):
        own = kept if index == 0 else 0
        equal(facts["Uid"].split(), ["65534"] * 4, "user numbers")
        equal(capabilities(facts), [own, own, 0, 0], f"capabilities of thread {index}")
        equal(int(facts["CapBnd"], 16), NET_BIND_SERVICE | DAC_READ_SEARCH, "bounding set")
        equal(int(facts["NoNewPrivs"]), 1, "no_new_privs")
        filtered = "sandbox: seccomp" in proxy.events("start")[-2]["message"]
        equal(int(facts["Seccomp"]), 2 if filtered else 0, "system calls are filtered")
    # Of a process that may leave no core dump these files are root's.
    equal(os.stat(f"/proc/{proxy.process.pid}/mem").st_uid, 0, "who owns its memory")


def of_root(world):
    """A pair that only root may read."""
    paths = []
    for suffix in ("pem", "key"):
        path = world.folder / f"of-root.{suffix}"
        path.touch(mode=0o600)
        path.write_bytes((world.certs / f"ecdsa.{suffix}").read_bytes())
        paths.append(path)
    return paths


def serves(world, proxy):
    with Client(proxy.address) as client:
        client.open(world.tls)
        client.quit()


def reload(proxy):
    before = len(proxy.events("reload"))
    proxy.process.signal(signal.SIGHUP)
    return eventually(lambda: proxy.events("reload")[before:], "the result of the reload")[-1]


@case
def root_becomes_a_user(world):
    """It binds port 25, serves, and reloads with a key that only root may read."""
    need_root()
    cert, key = of_root(world)
    with private_network(), world.private_sink() as sink:
        with world.private(sink.port, listen="127.0.0.1:25", listen_tls=None, user=NOBODY, cert=cert, key=key) as proxy:
            proxy.address = ("127.0.0.1", 25)
            expect_identity(proxy, NET_BIND_SERVICE | DAC_READ_SEARCH)
            said = proxy.events("start")[-2]["message"]
            contains(said, f"runs as {NOBODY}:", "the log")
            contains(said, "CAP_NET_BIND_SERVICE, for ports below 1024", "the log")
            contains(said, f"CAP_DAC_READ_SEARCH, because this user may not read {cert}", "the log")
            check("stays root" not in proxy.log, "no warning")
            serves(world, proxy)
            contains(reload(proxy)["message"], "done: ", "the reload")
            serves(world, proxy)


@case
def a_reload_opens_a_low_port(world):
    need_root()
    with private_network(), world.private_sink() as sink:
        path = world.folder / "low.toml"
        text = ('user = "{user}"\nshards = 1\nlog_format = "json"\n[[upstream]]\nname = "a"\naddresses = ["127.0.0.1:{port}"]\n'
                '[[ingress]]\nname = "i"\nupstream = "a"\nlisten = [{listen}]\n')
        path.write_text(text.format(user=NOBODY, port=sink.port, listen='"127.0.0.1:25"'))
        with world.private(None, **bare(path)) as proxy:
            path.write_text(text.format(user=NOBODY, port=sink.port, listen='"127.0.0.1:25", "127.0.0.1:587"'))
            contains(reload(proxy)["message"], "done: ", "the reload")
            with socket.create_connection(("127.0.0.1", 587), timeout=10) as client:
                contains(client.recv(1000).decode(), "220 ", "the greeting on the new port")
            path.write_text(text.format(user="root", port=sink.port, listen='"127.0.0.1:25"'))
            reload(proxy)
            eventually(lambda: any("user is nobody now and root in the file; restart to change it" in event["message"]
                                   for event in proxy.events("reload")), "who ringpost is, is settled at the start")


def bare(path):
    """Flags of a ringpost that has everything from a file."""
    return {"config": path, **{name: None for name in (
        "listen", "listen_tls", "cert", "key", "hostname", "shards", "log_format")}}


@case
def what_no_reload_needs_is_given_up(world):
    need_root()
    cert, key = of_root(world)
    for path in (cert, key):
        os.chown(path, 65534, 65534)
    with world.private(world.sink.port, user=NOBODY, cert=cert, key=key) as proxy:
        expect_identity(proxy, 0)
        contains(proxy.events("start")[-2]["message"], "with no capabilities", "the log")
        contains(reload(proxy)["message"], "done: ", "the reload")
        serves(world, proxy)
        os.chown(key, 0, 0)
        contains(reload(proxy)["message"], "ermission denied", "the reload of what only root may read")
        serves(world, proxy)


@case
def who_stays_root_is_warned(world):
    need_root()
    with world.private(world.sink.port, user="root") as proxy:
        contains(proxy.events("config")[-1]["message"], "ringpost stays root; create a user for it", "the warning")
        equal(int(threads(proxy)[0]["NoNewPrivs"]), 1, "no_new_privs")


@case
def who_cannot_be_had_ends_the_start(world):
    need_root()
    words = ["--listen=127.0.0.1:24999", f"--upstream=127.0.0.1:{world.sink.port}", "--shards=1"]
    for more, part in ((["--user=nobody-at-all"], 'there is no user "nobody-at-all"; create it with'),
                       (["--user=nobody", "--group=no-group-at-all"], 'there is no group "no-group-at-all"; create it with'),
                       (["--user=root", "--group=nogroup"], "name a user as well")):
        for last in ([], ["--check_config"]):
            code, said = refuse(world, *words, *more, *last)
            equal(code, 1, f"exit code; it said {said!r}")
            contains(said, part, "the sentence")
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", world.ringpost_path, *words, "--user=root"]
    code, _, errors = run(other)
    if "setpriv" in errors or code == 126:
        raise Skip("the build folder is not readable for others")
    equal(code, 1, "exit code")
    contains(errors, "only root can become another one", "the sentence")
    code, _, errors = run([*other, "--check_config"])
    equal(code, 0, f"exit code; root may start it; it said {errors!r}")
    contains(errors, "warning: for this user: user is \"root\"", "the warning")


@case
def the_check_is_made_as_the_user(world):
    need_root()
    folder = world.folder / "only-root"
    folder.mkdir(mode=0o700)
    words = ["--listen=127.0.0.1:24998", f"--upstream=127.0.0.1:{world.sink.port}", "--shards=1",
             f"--policy_service=unix:{folder}/policy"]
    code, said = refuse(world, *words, "--user=root", "--check_config")
    equal(code, 0, f"exit code as root; it said {said!r}")
    for last in ([], ["--check_config"]):
        code, said = refuse(world, *words, f"--user={NOBODY}", *last)
        equal(code, 1, f"exit code; it said {said!r}")
        contains(said, "choose a folder that ringpost's user may write to", "the sentence")


@case
def the_sandbox_can_be_off(world):
    with world.private(world.sink.port, sandbox="off") as proxy:
        contains(proxy.events("start")[-2]["message"], "sandbox: off", "the log")
        equal({facts["Seccomp"].strip() for facts in threads(proxy)}, {"0"}, "system calls are not filtered")
        serves(world, proxy)


@case
def a_new_upstream_port_wants_a_restart(world):
    layout = Layout(world, world.sink.port).route("mx")
    with world.private_sink() as other, world.configured(layout) as proxy:
        if "Landlock version" not in proxy.log or "without ports" in proxy.log:
            raise Skip("this kernel's Landlock does not restrict ports")
        second = layout.copy()
        second.upstreams["backend"]["addresses"] = [f"127.0.0.1:{other.port}"]
        level, message = proxy.reload(second)
        equal(level, "error", f"level of the reload's result: {message}")
        contains(message, f"at the start ({world.sink.port}), not to {other.port}; send SIGUSR1 instead", "the result")
        contains(message, "the configuration in force stays", "the result")
        with Client(proxy.at("mx")) as client:
            client.open(world.tls)
            client.quit()


@case
def a_reload_brings_the_first_name(world):
    """The thread that looks names up is made in the sandbox."""
    with NameServer({"mail.example": ["127.0.0.1"]}) as names:
        layout = Layout(world, world.sink.port, resolver=[names.address]).route("mx")
        with world.configured(layout) as proxy:
            by_name = layout.copy()
            by_name.upstreams["backend"]["addresses"] = [f"mail.example:{world.sink.port}"]
            level, message = proxy.reload(by_name)
            equal(level, "info", f"level of the reload's result: {message}")
            check(any("mail.example is 127.0.0.1" in event["message"] for event in proxy.events("names")), "it was looked up")
            with Client(proxy.at("mx")) as client:
                client.open(world.tls)
                client.quit()
