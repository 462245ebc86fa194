# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a client's certificate while its session lasts: as much as was planned, whatever the client shows, and
enough to judge its mail."""

import contextlib
import re

from cases.policy import greet, mail_from, reply_to
from cases.policy_reload import reloaded
from harness.case import case, check, contains, each, equal
from harness.configured import Layout
from harness.meter import Plan, resident
from harness.pki import NAME

LARGE, MEDIUM = 450, 55  # names in a certificate: of 13 KB, and of 2 KB, which is kept whole and takes 7 KB
WARM, SESSIONS = 400, 400  # the first fill the gaps that handshakes leave in the heap
ORDINARY = 3 << 10  # octets more for a certificate of the usual size


def many_names(world, count):
    """A client's TLS context; two thirds down the names of its certificate stands the one that is expected."""
    names = [f"host-{number}.elsewhere.example" for number in range(count)]
    names[count * 2 // 3] = NAME
    issuer = world.pki.intermediate
    identity = world.pki.add("many names", *issuer.issue("many.elsewhere.example", names=names), chain=[issuer.certificate])
    del world.pki.identities["many names"]  # other cases try them all
    return identity.context()


def asking(world):
    layout = Layout(world, world.sink.port, sessions_per_client_max=0)
    layout.tls.update(client_ca=world.pki.ca_a)
    return (layout.route("mx", tls="may")
            .partner("contoso", sender_domains=["contoso.example"], tls="verify", certificate_names=[NAME])
            .partner("fabrikam", sender_domains=["fabrikam.example"], tls="verify", certificate_names=["mail.fabrikam.example"])
            .partner("other", sender_domains=["other.example"], tls="verify", certificate_names=[NAME], client_ca=world.pki.ca_b))


@case
def a_large_certificate_is_judged(world):
    """All that its mail may need is found out at once. A reload asks anew, and then the client has to show it again."""
    tls = many_names(world, LARGE)
    with world.configured(asking(world)) as proxy:
        with greet(world, proxy.at("mx"), "many names", tls_context=tls) as large, greet(world, proxy.at("mx"), "right") as small:
            for client in (large, small):
                check(mail_from(client, "a@contoso.example").startswith("250 "), "the partner whose name it has")
                equal(mail_from(client, "a@fabrikam.example"), reply_to("wrong-name"), "the partner of another name")
                equal(mail_from(client, "a@other.example"), reply_to("untrusted"), "the partner of another CA")
                check(mail_from(client, "a@contoso.example").startswith("250 "), "the first one again")
            reloaded(proxy)
            check(mail_from(small, "a@contoso.example").startswith("250 "), "a small one after a reload")
            contains(mail_from(large, "a@contoso.example"), "421 4.3.2 ", "a large one after a reload")
            equal(large.rest(), b"", "the end of the session")
            small.quit()
        equal(proxy.record(large.local)["reason"], "policy_changed", "the session line's reason")
        with greet(world, proxy.at("mx"), "many names", tls_context=tls) as again:
            check(mail_from(again, "a@contoso.example").startswith("250 "), "a new session")
            again.quit()


@each(("large", LARGE), ("medium", MEDIUM), ("ordinary", None), named=True)
def a_session_keeps_what_was_planned(world, variant):
    """By resident memory: what each of some hundred idle sessions adds."""
    kind, names = variant
    tls = many_names(world, names) if names else world.pki["intermediate"].context()
    with world.configured(asking(world)) as proxy, contextlib.ExitStack() as sessions:
        def greet_many(count):
            for _ in range(count):
                sessions.enter_context(greet(world, proxy.at("mx"), kind, tls_context=tls))

        plan = Plan(proxy)
        found = re.search(r"up to (\d+) with a client's certificate", proxy.log)
        check(found, f"the line about memory in {proxy.log} speaks of certificates")
        most = plan.session + (int(found.group(1)) if names else ORDINARY)
        greet_many(WARM)
        before = resident(proxy)
        greet_many(SESSIONS)
        octets = (resident(proxy) - before) / SESSIONS
        print(f"  {octets:.0f} octets for each session, {most} at most")
        check(octets <= most, f"{octets:.0f} octets for each session, {most} at most")
