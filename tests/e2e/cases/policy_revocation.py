# SPDX-License-Identifier: GPL-3.0-or-later
"""Revoked client certificates, and lists that are fresh, stale or missing."""

import ssl

from cases.policy import greet, judged, mail_from, reply_to, verdict
from harness.case import case, check, each, equal
from harness.configured import Layout
from harness.smtp import mail


def lists(pki):
    """Folders of lists: of the root alone, of the whole path, and of the whole path gone stale."""
    revoked_below = [pki["revoked by the intermediate"].serial]
    for folder, fresh in (("crl-path", True), ("crl-path-stale", False)):
        pki.write_crl(f"{folder}/root.crl", pki.root_a, pki.revoked_serials, fresh)
        pki.write_crl(f"{folder}/intermediate.der", pki.intermediate, revoked_below, fresh)
        pki.write_crl(f"{folder}/withdrawn.crl", pki.withdrawn, (), fresh)
    # A list of root A's name that root A has not signed says nothing.
    forger = type(pki.root_b)("Root A")
    pki.write_crl("crl-forged/root.crl", forger, [pki["right"].serial])
    return pki.folder


def revocation_layout(world):
    pki = world.pki
    folder = lists(pki)
    layout = Layout(world, world.sink.port)
    kinds = {"fresh": pki.crl, "stale": pki.stale_crl, "missing": pki.other_crl, "path": folder / "crl-path",
             "stale path": folder / "crl-path-stale", "forged": folder / "crl-forged"}
    layout.route("off", tls="verify", client_ca=pki.ca_a)
    for level in ("soft", "hard"):
        for kind, crl in kinds.items():
            layout.route(f"{level} {kind}", tls="verify", client_ca=pki.ca_a, crl=crl, revocation=level)
    return layout


OK = (None,)
REVOKED = ("revoked",)
UNKNOWN = ("no-fresh-crl",)
EITHER = ("revoked", "no-fresh-crl")  # both are true

TABLE = (
    # (route, {presented: faults of which the first or any may be named})
    ("off", {"right": OK, "revoked": OK, "intermediate": OK, "revoked by the intermediate": OK}),
    ("soft fresh", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked by the intermediate": OK,
                    "revoked intermediate": REVOKED, "rsa": OK}),
    ("soft stale", {"right": OK, "revoked": REVOKED, "revoked intermediate": REVOKED}),
    ("soft missing", {"right": OK, "revoked": OK, "revoked intermediate": OK}),
    ("soft path", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked by the intermediate": REVOKED,
                   "revoked intermediate": REVOKED}),
    ("soft stale path", {"right": OK, "intermediate": OK, "revoked by the intermediate": REVOKED}),
    ("soft forged", {"right": OK, "revoked": OK}),
    ("hard fresh", {"right": OK, "revoked": REVOKED, "intermediate": UNKNOWN, "revoked by the intermediate": UNKNOWN,
                    "revoked intermediate": EITHER}),
    ("hard stale", {"right": UNKNOWN, "revoked": EITHER}),
    ("hard missing", {"right": UNKNOWN, "revoked": UNKNOWN}),
    ("hard path", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked by the intermediate": REVOKED,
                   "revoked intermediate": REVOKED}),
    ("hard stale path", {"right": UNKNOWN, "intermediate": UNKNOWN, "revoked by the intermediate": EITHER}),
    ("hard forged", {"right": UNKNOWN, "revoked": UNKNOWN}),
)


@each(*((route, presented, faults) for route, row in TABLE for presented, faults in row.items()))
def revocation(world, variant):
    route, presented, faults = variant
    proxy = world.shared("revocation", lambda: revocation_layout(world))
    reply, local = verdict(world, proxy.at(route), presented)
    fault = next((fault for fault in faults if fault and reply == reply_to(fault)), faults[0])
    judged(proxy, reply, local, [{"fault": fault, "mode": "enforce", "route": route}] if fault else [],
           f"{presented} on {route}")


@each("TLSv1_2", "TLSv1_3")
def a_list_that_comes_with_a_reload(world, version):
    """A certificate that the new list names is refused in the next session; the running session goes on."""
    version = getattr(ssl.TLSVersion, version)
    pki = world.pki
    crl = pki.write_crl(f"renewed-{version.name}.crl", pki.root_a, ())
    layout = Layout(world, world.sink.port)
    layout.route("mx", tls="verify", client_ca=pki.ca_a, crl=crl, revocation="soft")
    tls = pki["revoked"].context(lowest=version, highest=version)
    with world.configured(layout) as proxy:
        with greet(world, proxy.at("mx"), "revoked", tls_context=tls) as running:
            check(mail_from(running, "a@x.example").startswith("250 "), "before the new list")
            pki.write_crl(crl.name, pki.root_a, pki.revoked_serials)
            equal(proxy.reload()[0], "info", "level of the reload's result")
            equal(verdict(world, proxy.at("mx"), "revoked", tls_context=tls)[0], reply_to("revoked"), "the next session")
            identifier, content = mail()
            equal(running.message(content).code, 250, "the running session")
            running.quit()
        world.sink.message(identifier.encode())
        pki.write_crl(crl.name, pki.root_a, ())
        proxy.reload()
        check(verdict(world, proxy.at("mx"), "revoked", tls_context=tls)[0].startswith("250 "), "no longer revoked")


@case
def a_list_that_cannot_be_read_changes_nothing(world):
    pki = world.pki
    crl = pki.write_crl("broken.crl", pki.root_a, pki.revoked_serials)
    layout = Layout(world, world.sink.port)
    layout.route("mx", tls="verify", client_ca=pki.ca_a, crl=crl, revocation="hard")
    with world.configured(layout) as proxy:
        good = crl.read_bytes()
        for octets in (b"", b"not a list\n", good[:len(good) // 2], pki.ca_a.read_bytes()):
            crl.write_bytes(octets)
            level, message = proxy.reload()
            check(level in ("warning", "error") and "broken.crl" in message, f"the log names the file: {level} {message}")
            equal(verdict(world, proxy.at("mx"), "revoked")[0], reply_to("revoked"), "still revoked")
            check(verdict(world, proxy.at("mx"), "right")[0].startswith("250 "), "still served")
