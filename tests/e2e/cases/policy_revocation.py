# SPDX-License-Identifier: GPL-3.0-or-later
"""Revoked client certificates, and lists that are fresh, stale or missing."""

import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cases.policy import greet, judged, mail_from, reply_to, verdict
from harness.case import case, check, contains, each, equal
from harness.configured import Layout
from harness.pki import distribution_point
from harness.ringpost import refuse

PLACE = "http://ca.example.test/1.0/crl"


def lists(pki):
    """Folders of lists: of the root alone, of the whole path, and of the whole path gone stale."""
    revoked_below = [pki["revoked by the intermediate"].serial]
    for folder, fresh in (("crl-path", True), ("crl-path-stale", False)):
        pki.write_crl(f"{folder}/root.crl", pki.root_a, pki.revoked_serials, fresh)
        pki.write_crl(f"{folder}/intermediate.der", pki.intermediate, revoked_below, fresh)
        pki.write_crl(f"{folder}/withdrawn.crl", pki.withdrawn, (), fresh)
    # As smallstep makes them: for all certificates, and with a place.
    pki.write_crl("crl-place.crl", pki.root_a, pki.revoked_serials, point=distribution_point(PLACE))
    # In two parts.
    users, authorities = ([serial] for serial in pki.revoked_serials)
    for folder in ("crl-users", "crl-parts"):
        pki.write_crl(f"{folder}/users.crl", pki.root_a, users, point=distribution_point(PLACE, users=True))
        pki.write_crl(f"{folder}/intermediate.crl", pki.intermediate, revoked_below)
    pki.write_crl("crl-parts/authorities.crl", pki.root_a, authorities, point=distribution_point(authorities=True))
    # What only comes to light when a client brings the intermediate: its list has another signature.
    pki.write_crl("crl-broken-below/root.crl", pki.root_a, pki.revoked_serials)
    pki.write_crl("crl-broken-below/intermediate.crl", pki.intermediate, revoked_below, key=pki.root_b.key)
    return pki.folder


def revocation_layout(world):
    pki = world.pki
    folder = lists(pki)
    layout = Layout(world, world.sink.port)
    kinds = {"fresh": pki.crl, "stale": pki.stale_crl, "missing": pki.other_crl, "path": folder / "crl-path",
             "stale path": folder / "crl-path-stale", "place": folder / "crl-place.crl", "users": folder / "crl-users",
             "parts": folder / "crl-parts", "broken below": folder / "crl-broken-below"}
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
    ("soft place", {"right": OK, "revoked": REVOKED, "revoked intermediate": REVOKED, "intermediate": OK}),
    ("soft users", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked by the intermediate": REVOKED}),
    ("soft parts", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked intermediate": REVOKED}),
    ("soft broken below", {"right": OK, "revoked": REVOKED, "intermediate": UNKNOWN,
                           "revoked by the intermediate": UNKNOWN, "revoked intermediate": REVOKED}),
    ("hard fresh", {"right": OK, "revoked": REVOKED, "intermediate": UNKNOWN, "revoked by the intermediate": UNKNOWN,
                    "revoked intermediate": EITHER}),
    ("hard stale", {"right": UNKNOWN, "revoked": EITHER}),
    ("hard missing", {"right": UNKNOWN, "revoked": UNKNOWN}),
    ("hard path", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked by the intermediate": REVOKED,
                   "revoked intermediate": REVOKED}),
    ("hard stale path", {"right": UNKNOWN, "intermediate": UNKNOWN, "revoked by the intermediate": EITHER}),
    ("hard place", {"right": OK, "revoked": REVOKED, "intermediate": UNKNOWN}),
    ("hard users", {"right": OK, "revoked": REVOKED, "intermediate": UNKNOWN, "revoked by the intermediate": EITHER}),
    ("hard parts", {"right": OK, "revoked": REVOKED, "intermediate": OK, "revoked intermediate": EITHER,
                    "revoked by the intermediate": REVOKED}),
    ("hard broken below", {"right": OK, "intermediate": UNKNOWN, "revoked by the intermediate": UNKNOWN}),
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
    """A certificate that the new list names is refused: in the next session, and at the running one's next MAIL."""
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
            equal(mail_from(running, "a@x.example"), reply_to("revoked"), "the running session")
            running.quit()
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


UNUSABLE = {
    "delta": ({"delta": True}, "a delta list"),
    "indirect": ({"point": distribution_point(indirect=True)}, "an indirect list"),
    "some reasons": ({"point": distribution_point(reasons=frozenset([x509.ReasonFlags.key_compromise]))}, "all reasons"),
    # Python's cryptography no longer signs with SHA-1, which tests/x509/crl_test.cc has.
    "SHA-224": ({"algorithm": hashes.SHA224()}, "its signature is not one that is accepted"),
    "forged": ({"forged": True}, "not signed by the CA that it names"),
}


def unusable(pki, name, special):
    special = dict(special)
    if special.pop("forged", False):
        special["key"] = pki.root_b.key
    return pki.write_crl(name, pki.root_a, pki.revoked_serials, **special)


@each(*((kind, level) for kind in UNUSABLE for level in ("soft", "hard")))
def a_list_that_cannot_be_used(world, variant):
    """It must not be as if there were none: neither a start nor a reload takes it."""
    kind, level = variant
    special, says = UNUSABLE[kind]
    pki = world.pki
    name = f"unusable-{level}.crl"
    crl = unusable(pki, name, special)
    layout = Layout(world, world.sink.port)
    layout.route("mx", tls="verify", client_ca=pki.ca_a, crl=crl, revocation=level)
    path = world.folder / "unusable.toml"
    path.write_text(layout.text(), encoding="utf-8")
    for words in ([f"--config={path}"], [f"--config={path}", "--check_config"]):
        code, said = refuse(world, *words)
        equal(code, 1, f"exit code; it said {said!r}")
        contains(said, f"{crl} cannot be used: ", "the sentence")
        contains(said, says, "the sentence")
    pki.write_crl(name, pki.root_a, pki.revoked_serials)
    with world.configured(layout) as proxy:
        unusable(pki, name, special)
        result, message = proxy.reload()
        equal(result, "error", f"level of {message!r}")
        contains(message, says, "the log")
        equal(verdict(world, proxy.at("mx"), "revoked")[0], reply_to("revoked"), "still revoked")
        check(verdict(world, proxy.at("mx"), "right")[0].startswith("250 "), "still served")


@case
def a_list_that_turns_out_to_be_broken_is_in_the_log(world):
    proxy = world.shared("revocation", lambda: revocation_layout(world))
    equal(verdict(world, proxy.at("soft broken below"), "intermediate")[0], reply_to("no-fresh-crl"), "the reply")
    check(any("crl-broken-below/intermediate.crl cannot be used" in event["message"] and event["level"] == "warning"
              for event in proxy.events("trust")), f"a warning with the list's name: {proxy.events('trust')}")
