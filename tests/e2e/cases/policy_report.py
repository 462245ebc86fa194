# SPDX-License-Identifier: GPL-3.0-or-later
"""Report mode and the summary from which an administrator sees what could be enforced."""

import signal

from cases.policy import greet, mail_from, verdict
from harness.case import case, check, contains, each, equal, eventually
from harness.configured import Layout
from harness.pki import NAME


def report_layout(world, **tuning):
    layout = Layout(world, world.sink.port, **tuning)
    layout.tls.update(client_ca=world.pki.ca_a)
    layout.route("mx", tls="may").route("watched", tls="verify", mode="report", partners=False)
    for name in ("always", "mostly", "clear", "unseen"):
        layout.partner(name, sender_domains=[f"{name}.example"], tls="encrypt", mode="report", certificate_names=[NAME])
    layout.partner("strict", sender_domains=["strict.example"], tls="encrypt")
    return layout


def traffic(world, proxy):
    for presented, domain in (("right", "always"), ("right", "always"), ("right", "mostly"), ("wrong name", "mostly"),
                              ("no certificate", "mostly"), ("no TLS", "clear"), ("right", "clear"), ("no TLS", "strict"),
                              ("no certificate", "strict")):
        verdict(world, proxy.at("mx"), presented, f"a@{domain}.example")
    for presented in ("right", "no TLS", "untrusted"):
        reply, _ = verdict(world, proxy.at("watched"), presented)
        check(reply.startswith("250 "), f"{presented} on a route that reports: {reply}")


def summary(proxy, since=0):
    """{"partner always": sentence} of the summary's lines after the first `since`."""
    found = {}
    for event in proxy.events("policy-summary")[since:]:
        text = event["message"]
        words = text.split('"')
        if len(words) >= 3:
            found[words[0].strip() + " " + words[1]] = text
    return found


def check_summary(lines):
    for subject, parts in {
            "partner always": ("asks for encrypt (report)", "2 messages", "all met verify", "would refuse 0"),
            "partner mostly": ("3 messages", "all met encrypt, 1 verify", "would refuse 0"),
            "partner clear": ("1 of 2 messages met encrypt, 1 verify", "would refuse 1", "no-tls 1"),
            "partner strict": ("asks for encrypt: 1 of 2 messages met encrypt", "refused 1", "no-tls 1"),
            "route watched": ("asks for verify (report): 2 of 3 messages met encrypt", "would refuse 2",
                              "no-tls 1", "untrusted 1"),
    }.items():
        check(subject in lines, f"a line about {subject} in {lines}")
        for part in parts:
            contains(lines[subject], part, f"the sentence about {subject}")


@case
def a_summary_on_demand(world):
    with world.configured(report_layout(world, shards=2)) as proxy:
        traffic(world, proxy)
        proxy.process.signal(signal.SIGUSR2)
        eventually(lambda: "route watched" in summary(proxy) and "partner strict" in summary(proxy), "the summary")
        check_summary(summary(proxy))
        check(proxy.process.running(), "ringpost runs on")


@each("encrypt", "verify")
def whom_a_route_refuses_in_clear(world, level):
    """Nobody who is refused with 530 goes unseen: the session's line, a line for each message, the summary."""
    layout = Layout(world, world.sink.port)
    settings = {"client_ca": world.pki.ca_a, "certificate_names": [NAME]} if level == "verify" else {}
    layout.route("mx", tls=level, partners=False, **settings)
    with world.configured(layout) as proxy:
        with greet(world, proxy.at("mx"), "no TLS") as client:
            for domain in ("one", "two"):
                client.expect(f"MAIL FROM:<a@{domain}.example>", 530)
                client.expect("RCPT TO:<bob@example.test>", 530)
            client.quit()
        session = proxy.record(client.local)
        for key, wanted in {"refused": 0, "refused_commands": 4, "last_refused": "RCPT 530 5.7.0", "reason": "quit"}.items():
            equal(session.get(key), wanted, f"{key} in {session}")
        lines = proxy.accusations(client.local)
        equal([line["sender"] for line in lines], ["one.example", "two.example"], f"the senders in {lines}")
        for line in lines:
            for key, wanted in {"asked": level, "mode": "enforce", "fault": "no-tls", "route": "mx"}.items():
                equal(line.get(key), wanted, f"{key} in {line}")
        reply, local = verdict(world, proxy.at("mx"), "right")
        equal(reply[:4], "250 ", "the reply to a message inside TLS")
        session = proxy.record(local)
        equal((session["refused_commands"], "last_refused" in session), (0, False), f"nothing is refused in {session}")
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
        contains(summary(proxy)["route mx"], f"asks for {level}: 1 of 3 messages met encrypt", "the summary")
        contains(summary(proxy)["route mx"], "refused 2: no-tls 2", "the summary")


@case
def a_summary_at_the_end(world):
    with world.configured(report_layout(world)) as proxy:
        traffic(world, proxy)
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
        check_summary(summary(proxy))


@case
def a_summary_from_time_to_time(world):
    with world.configured(report_layout(world, policy_summary_interval="1s")) as proxy:
        traffic(world, proxy)
        eventually(lambda: "partner always" in summary(proxy), "the summary, unasked")


@case
def a_summary_over_a_reload(world):
    """Nothing that was counted gets lost when the configuration changes."""
    with world.configured(report_layout(world)) as proxy:
        traffic(world, proxy)
        changed = proxy.layout.copy().partner("another", sender_domains=["another.example"], tls="encrypt")
        equal(proxy.reload(changed)[0], "info", "level of the reload's result")
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
        check_summary(summary(proxy))


@case
def a_summary_over_a_change_of_mode(world):
    """What was let through in report mode is never called refused, and the new mode is counted from nothing."""
    with world.configured(report_layout(world, shards=2)) as proxy:
        traffic(world, proxy)
        proxy.reload(proxy.layout.copy().partner("clear", sender_domains=["clear.example"], tls="encrypt", mode="enforce",
                                                 certificate_names=[NAME]))
        verdict(world, proxy.at("mx"), "right", "a@clear.example")
        verdict(world, proxy.at("mx"), "no TLS", "a@clear.example")
        proxy.process.signal(signal.SIGUSR2)
        eventually(lambda: "route watched" in summary(proxy), "the summary")
        about = [event["message"] for event in proxy.events("policy-summary") if '"clear"' in event["message"]]
        equal(about, ['partner "clear" asked for encrypt (report) before a reload: 1 of 2 messages met encrypt, 1 verify; '
                      "would have refused 1: no-tls 1",
                      'partner "clear" asks for encrypt: 1 of 2 messages met encrypt, 1 verify; refused 1: no-tls 1'],
              "the lines about the partner")
        check_summary({**summary(proxy), "partner clear": about[0].replace("would have refused", "would refuse")
                       .replace("asked for", "asks for")})


@case
def report_mode_refuses_nothing(world):
    """Not even a sender that could be read in two ways, unless a partner by domain enforces; it is counted."""
    layout = Layout(world, world.sink.port).route("mx", tls="may")
    layout.partner("site", networks=["127.0.0.0/8"], tls="encrypt", mode="report")
    with world.configured(layout) as proxy:
        for partners, wanted in ((0, "250 "), (1, "250 "), (2, "501 5.1.7 ")):
            if partners == 1:
                layout.partner("contoso", sender_domains=["contoso.example"], tls="encrypt", mode="report")
            elif partners == 2:
                layout.partner("bank", sender_domains=["bank.example"], tls="encrypt")
            proxy.reload(layout)
            with greet(world, proxy.at("mx"), "no TLS") as client:
                client.send(b"MAIL FROM:<a@x@evil.example>\r\n")
                check(client.reply().lines[0].startswith(wanted), f"the reply with {partners} partners by domain")
                client.quit()
            proxy.record(client.local)
            unreadable = [(line["fault"], line["mode"]) for line in proxy.accusations(client.local)
                          if line["fault"] == "unreadable-sender"]
            equal(unreadable, [[], [("unreadable-sender", "report")], [("unreadable-sender", "enforce")]][partners],
                  f"the log with {partners} partners by domain")
        proxy.process.signal(signal.SIGUSR2)
        eventually(lambda: any("policies with" in event["message"] for event in proxy.events("policy-summary")), "the summary")
        about = [event["message"] for event in proxy.events("policy-summary") if event["message"].startswith("partners on")]
        equal(about, ['partners on route "mx" (report) before a reload: 1 sender that could be read in two ways; would have '
                      "refused 1", 'partners on route "mx": 1 sender that could be read in two ways; refused 1'],
              "the summary of such senders")


@case
def a_summary_counts_sessions_of_before(world):
    with world.configured(report_layout(world)) as proxy:
        with greet(world, proxy.at("mx"), "no TLS") as running:
            proxy.reload(proxy.layout.copy().partner("another", sender_domains=["another.example"], tls="encrypt"))
            check(mail_from(running, "a@clear.example").startswith("250 "), "a report is no refusal")
            running.quit()
        proxy.terminate()
        equal(proxy.process.wait(), 0, "exit code")
        check("partner clear" in summary(proxy), f"a line about it in {summary(proxy)}")
