# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies that must not start: refused with file, line, column and a sentence."""

from cases.policy import reply_to, verdict
from cases.start import place_of
from harness.case import case, check, contains, each, equal
from harness.configured import Layout
from harness.process import run
from harness.ringpost import refuse

PIN = "00:" * 31 + "00"
OTHER = '[[partner]]\nname = "x"\nsender_domains = ["x.example"]\n'


def good_layout(world):
    layout = Layout(world, 10025)
    layout.tls.update(client_ca=world.pki.ca_a, crl=world.pki.crl, revocation="soft")
    layout.route("mx", tls="may").route("strict", tls="verify", certificate_names=["*.contoso.example"], mode="report")
    layout.partner("contoso", sender_domains=["contoso.example", ".contoso.example"], networks=["192.0.2.0/24", "2001:db8::/32"],
                   tls="verify", certificate_names=["mail.contoso.example"], fingerprints=[PIN], restrict_to_networks=True,
                   restrict_to_certificate=True, mode="report")
    layout.partner("bücher", sender_domains=["bücher.example"], tls="encrypt")
    layout.partner("by network", networks=["198.51.100.0/24"], tls="encrypt")
    return layout


def write(world, text):
    path = world.folder / "policy-config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@case
def the_baseline_is_accepted(world):  # or the cases below show nothing
    path = write(world, good_layout(world).text())
    code, said = refuse(world, f"--config={path}", "--check_config")
    equal(code, 0, f"exit code of --check_config; it said {said!r}")


@case
def check_config_prints_it_again(world):
    path = write(world, good_layout(world).text())
    code, first, errors = run([world.ringpost_path, f"--config={path}", "--check_config"])
    equal(code, 0, f"exit code; it said {errors!r}")
    for part in ("xn--bcher-kva.example", "192.0.2.0/24", "2001:db8::/32", "restrict_to_certificate", "soft",
                 "*.contoso.example"):
        contains(first, part, "what --check_config prints")
    path = write(world, first)
    code, second, errors = run([world.ringpost_path, f"--config={path}", "--check_config"])
    equal((code, second), (0, first), f"printed again; it said {errors!r}")


def replace(old, new):
    return lambda text: text.replace(old, new, 1)


def add(text):
    return lambda before: before + "\n" + text


BAD = (
    # (title, change, what marks the place, parts of the sentence)
    ("unknown level of a route", replace('tls = "may"', 'tls = "sometimes"'), '"sometimes"', ("sometimes",)),
    ("unknown level of a partner", add(OTHER + 'tls = "secure"\n'), '"secure"', ("secure",)),
    ("unknown key", replace("restrict_to_networks", "restrict_to_network"), "restrict_to_network ", ("restrict_to_networks",)),
    ("unknown key of a route", replace('mode = "report"', 'modus = "report"'), "modus", ("modus",)),
    ("not a boolean", replace("restrict_to_networks = true", 'restrict_to_networks = "yes"'), '"yes"', ()),
    ("unknown mode", replace('mode = "report"', 'mode = "rapport"'), '"rapport"', ("rapport",)),
    ("a network that is none", replace("192.0.2.0/24", "192.0.2.0/33"), '"192.0.2.0/33"', ("192.0.2.0/33",)),
    ("set bits beyond the prefix", replace("192.0.2.0/24", "192.0.2.1/24"), '"192.0.2.1/24"', ("192.0.2.0/24",)),
    ("a domain that is none", replace('"contoso.example"', '"contoso..example"'), '"contoso..example"', ("contoso..example",)),
    ("a name that is none", replace('"mail.contoso.example"', '"mail contoso"'), '"mail contoso"', ("mail contoso",)),
    ("a wildcard over everything", replace('"mail.contoso.example"', '"*.com"'), '"*.com"', ("*.com",)),
    ("a fingerprint that is none", replace(PIN, PIN[:-2]), PIN[:-2] + '"', ()),
    ("a domain twice", add('[[partner]]\nname = "x"\nsender_domains = ["CONTOSO.example"]\ntls = "encrypt"\n'),
     '"CONTOSO.example"', ("CONTOSO.example", "already given at")),
    ("a domain twice, one as A-label", add('[[partner]]\nname = "x"\nsender_domains = ["xn--bcher-kva.example"]\ntls = "encrypt"\n'),
     '"xn--bcher-kva.example"', ("xn--bcher-kva.example", "already given at")),
    ("a network twice", add('[[partner]]\nname = "x"\nnetworks = ["198.51.100.0/24"]\ntls = "encrypt"\n'), None,
     ("198.51.100.0/24", "already given at")),
    ("a name twice", add('[[partner]]\nname = "contoso"\nsender_domains = ["x.example"]\ntls = "encrypt"\n'), None, ("contoso",)),
    ("neither domain nor network", add('[[partner]]\nname = "lost"\ntls = "encrypt"\n'), None, ("lost", "sender_domains")),
    ("no level", add('[[partner]]\nname = "lost"\nsender_domains = ["x.example"]\n'), None, ("tls",)),
    ("verify without anything to verify", add(OTHER + 'tls = "verify"\nclient_ca = ""\n'),
     None, ("client_ca",)),
    ("names without a CA", add(OTHER + 'tls = "verify"\nclient_ca = ""\n'
                               f'fingerprints = ["{PIN}"]\ncertificate_names = ["a.example"]\n'), None, ("certificate_names",)),
    ("networks to restrict to, but none", add(OTHER + 'tls = "encrypt"\n'
                                              "restrict_to_networks = true\n"), None, ("networks",)),
    ("revocation without lists", add(OTHER + 'tls = "verify"\n'
                                     'client_ca = "pki/root-b.pem"\nrevocation = "hard"\n'), None, ("crl",)),
    ("unknown revocation", replace('revocation = "soft"', 'revocation = "firm"'), '"firm"', ("firm",)),
    ("report of nothing", replace('tls = "may"', 'tls = "may"\nmode = "report"'), None, ("report",)),
    ("a reply of two lines", replace('tls = "may"', r'tls = "encrypt"' + '\n' + r'certificate_reply = "550 5.7.0 a\r\n250 b"'),
     None, ("certificate_reply",)),
    ("a reply that accepts", add(OTHER + 'tls = "encrypt"\ntls_reply = "250 2.0.0 Ok"\n'),
     '"250 2.0.0 Ok"', ("250",)),
    ("no such file", replace("root-a.crl", "root-x.crl"), None, ("root-x.crl",)),
    ("a policy service for everybody", replace("shards = 1", 'shards = 1\npolicy_service = "0.0.0.0:10040"'), '"0.0.0.0:10040"',
     ("0.0.0.0:10040",)),
)


@each(*BAD, named=True)
def bad_policy(world, variant):
    _, change, marked, parts = variant
    good = good_layout(world).text().replace(f"{world.pki.folder}/", "pki/")
    text = change(good)
    check(text != good, "the change was made")
    path = write(world, text)
    code, said = refuse(world, f"--config={path}", "--check_config")
    equal(code, 1, f"exit code; it said {said!r}")
    lines = [line for line in said.splitlines() if line.strip()]
    check(len(lines) == 1 and lines[0].startswith("ringpost: "), f"one sentence: {said!r}")
    contains(said, f"{path}:", "the file")
    line, column = said.split(f"{path}:", 1)[1].split(":")[:2]
    check(line.isdigit() and column.isdigit() and int(line) > 0 and int(column) > 0, f"line and column in {said!r}")
    if marked:
        equal(int(line), place_of(text, marked)[0], f"the line in {said!r}")
    for part in parts:
        contains(said, part, "the sentence")


@each(("verify without CA", ["--tls_policy=verify"], "client_ca"),
      ("bad fingerprint", ["--tls_policy=verify", "--fingerprints=ab"],
      "fingerprint"), ("bad mode", ["--policy_mode=maybe"], "maybe"), ("report of nothing", ["--policy_mode=report"], "report"),
      ("bad revocation", ["--revocation=firm"], "firm"), ("policy service", ["--policy_service=0.0.0.0:1"], "0.0.0.0:1"),
      ("no such CA", ["--tls_policy=verify", "--client_ca=/nonexistent/ca.pem"], "/nonexistent/ca.pem"), named=True)
def bad_policy_flags(world, variant):
    _, words, part = variant
    certs = world.certs
    code, said = refuse(world, "--listen=127.0.0.1:24997", "--upstream=127.0.0.1:10025", f"--cert={certs}/ecdsa.pem",
                        f"--key={certs}/ecdsa.key", *words, "--check_config")
    equal(code, 1, f"exit code; it said {said!r}")
    contains(said, part, "the sentence")


@case
def policy_by_flags(world):
    """The one route that flags give can ask for certificates as well."""
    pki = world.pki
    with world.private(world.sink.port, tls_policy="verify", client_ca=pki.ca_a, crl=pki.crl, revocation="soft",
                       certificate_names="mail.contoso.example,mx.contoso.example") as proxy:
        for presented, fault in (("right", None), ("wrong name", "wrong-name"), ("revoked", "revoked"), ("no TLS", "no-tls"),
                                 ("no certificate", "no-certificate")):
            reply, _ = verdict(world, proxy.address, presented)
            check(reply.startswith(reply_to(fault) if fault else "250 "), f"reply to {presented}: {reply}")
