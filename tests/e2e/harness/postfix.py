# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Postfix in a private folder: own configuration, queue and log; /etc/postfix is not touched.

`Mx` is the server behind ringpost: one port for each way of being told the client's address, a plain one
to compare with, all delivering to maildirs. `Sender` is a server whose own smtp client delivers through
ringpost.
"""

import os
import pwd
import re
import subprocess

from harness.case import Skip, eventually
from harness.process import Process, free_port, has_ipv6

NOBODY = 65534
USERS = ("bob", "target", "refused", *(f"user{number}" for number in range(100)))
RELAYED = ("starttls.test", "wrapper.test", "certificate.test", "stranger.test")  # where Sender sends, in the name of bob

SERVICES = """
pickup    unix n - n 60 1 pickup
cleanup   unix n - n -  0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, name, folder, settings, services, tables=None):
        if os.geteuid() != 0:
            raise Skip("Postfix's master wants root")
        try:
            owner = pwd.getpwnam("postfix").pw_uid
        except KeyError:
            raise Skip("Postfix is not installed") from None
        self.folder = folder
        folder.mkdir(mode=0o755)
        for part in ("etc", "queue", "data", "mail"):
            (folder / part).mkdir(mode=0o755)
        os.chown(folder / "data", owner, -1)
        os.chown(folder / "mail", NOBODY, NOBODY)
        common = {
            "compatibility_level": "3.6",
            "queue_directory": folder / "queue",
            "data_directory": folder / "data",
            "maillog_file": "/dev/stdout",
            "inet_interfaces": "loopback-only",
            "mynetworks": "127.0.0.1/32 127.0.0.2/32",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "disable_dns_lookups": "yes",
            "smtpd_peername_lookup": "no",
            "smtpd_error_sleep_time": "0",
            "smtpd_forbid_unauth_pipelining": "yes",  # the default from 3.9 on
            "smtpd_client_connection_count_limit": "0",
            "smtpd_relay_restrictions": "permit_mynetworks permit_sasl_authenticated reject_unauth_destination",
            "message_size_limit": "41943040",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
            "notify_classes": "",
        }
        common.update(settings)
        (folder / "etc/main.cf").write_text("".join(f"{key} = {value}\n" for key, value in common.items()))
        (folder / "etc/master.cf").write_text(SERVICES + services)
        for table, text in (tables or {}).items():
            (folder / "etc" / table).write_text(text)
        subprocess.run(["postfix", "-c", folder / "etc", "check"], capture_output=True, check=False)
        self.process = Process(name, ["postfix", "-c", folder / "etc", "start-fg"], folder)

    def wait(self):
        self.process.wait_for("daemon started")
        return self

    @property
    def log(self):
        return self.process.log

    def stop(self):
        subprocess.run(["postfix", "-c", self.folder / "etc", "stop"], capture_output=True, check=False)
        self.process.stop()


class Mx(Postfix):
    """Postfix as the backend. Mail for one of USERS at example.test lands in the maildir of that name."""

    def __init__(self, folder, auth_port):
        self.plain_port, self.proxy_port, self.xclient_port = free_port(), free_port(), free_port()
        # Those that ask a policy service on a port where the case's ringpost offers it: once for each message,
        # and once for each recipient; told the client's address in each of the ways, or not at all.
        self.policy_service_port = free_port()
        self.asks_at_data_port, self.asks_at_rcpt_port = free_port(), free_port()
        self.asks_xclient_port, self.asks_untold_port = free_port(), free_port()
        # Its policy service's port is free: for cases that start and end a ringpost of their own there.
        self.asks_restarted_port, self.restarted_service_port = free_port(), free_port()
        self.asks_socket = folder / "queue/public/asks"
        asks = f"check_policy_service inet:127.0.0.1:{self.policy_service_port}"
        # One that refuses MAIL from contoso.example in its own reading of the address.
        self.reads_senders_port = free_port()
        self.socket = folder / "queue/public/ingress"
        services = (
            f"127.0.0.1:{self.plain_port} inet n - n - - smtpd\n"
            f"127.0.0.1:{self.proxy_port} inet n - n - - smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n"
            f"127.0.0.1:{self.xclient_port} inet n - n - - smtpd\n"
            "  -o smtpd_authorized_xclient_hosts=127.0.0.0/8\n"
            f"127.0.0.1:{self.asks_at_data_port} inet n - n - - smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n"
            f"  -o {{ smtpd_data_restrictions = {asks} }}\n"
            f"127.0.0.1:{self.asks_at_rcpt_port} inet n - n - - smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n"
            f"  -o {{ smtpd_recipient_restrictions = {asks} }}\n"
            f"127.0.0.1:{self.asks_xclient_port} inet n - n - - smtpd\n"
            "  -o smtpd_authorized_xclient_hosts=127.0.0.0/8\n"
            f"  -o {{ smtpd_data_restrictions = {asks} }}\n"
            f"127.0.0.1:{self.asks_untold_port} inet n - n - - smtpd\n"
            f"  -o {{ smtpd_data_restrictions = {asks} }}\n"
            f"127.0.0.1:{self.asks_restarted_port} inet n - n - 1 smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n"
            f"  -o {{ smtpd_data_restrictions = check_policy_service inet:127.0.0.1:{self.restarted_service_port} }}\n"
            "asks unix n - n - - smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n"
            f"  -o {{ smtpd_data_restrictions = {asks} }}\n"
            f"127.0.0.1:{self.reads_senders_port} inet n - n - - smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n"
            "  -o smtpd_delay_reject=no\n"
            "  -o parent_domain_matches_subdomains=\n"
            "  -o { smtpd_sender_restrictions = check_sender_access inline:{ { contoso.example = REJECT } } }\n"
            "ingress unix n - n - - smtpd\n"
            "  -o smtpd_upstream_proxy_protocol=haproxy\n")
        if has_ipv6():
            services += f"[::1]:{self.plain_port} inet n - n - - smtpd\n"
        super().__init__("postfix-mx", folder, {
            "myhostname": "backend.example.test",
            "virtual_mailbox_domains": " ".join(("example.test", *RELAYED)),
            "default_transport": "discard",  # nothing leaves this machine
            "relay_transport": "discard",
            "virtual_mailbox_base": folder / "mail",
            "virtual_mailbox_maps": f"texthash:{folder}/etc/mailboxes",
            "virtual_minimum_uid": "100",
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:127.0.0.1:{auth_port}",
            "smtpd_recipient_limit": "2000",
            "smtpd_recipient_restrictions": "check_recipient_access inline:{refused@example.test=REJECT}",
            "header_checks": f"regexp:{folder}/etc/headers",
        }, services, {
            "mailboxes": "".join(f"{user}@example.test {user}/\n" for user in USERS) +
                         "".join(f"bob@{domain} bob/\n" for domain in RELAYED),
            "headers": "/^Subject: refuse me$/ REJECT refused by its subject\n",
        })

    def messages(self, user="bob"):
        folder = self.folder / "mail" / user / "new"
        return [path.read_bytes() for path in folder.iterdir()] if folder.is_dir() else []

    def stored(self, identifier, user="bob"):
        """The stored message with this Message-ID, once it is there."""
        wanted = identifier.encode()
        return eventually(lambda: next((text for text in self.messages(user) if wanted in text), None),
                          f"delivery of {identifier} to {user}")

    def count(self, part, user="bob"):
        return sum(part in text for text in self.messages(user))

    def settled(self):
        """Waits until the queue is empty: what was accepted has then been delivered."""
        queue = self.folder / "queue"
        eventually(lambda: not any(path.is_file() for name in ("incoming", "active", "maildrop")
                                   for path in (queue / name).rglob("*")), "an empty queue")


class Sender(Postfix):
    """Postfix as a client. Mail to a domain of `routes` (domain → (wrapper or starttls, port)) leaves by
    its own smtp client, which verifies ringpost's certificate and, given an `identity`, shows its own."""

    def __init__(self, folder, routes, ca, identity=None, name="postfix-sender"):
        self.port = free_port()
        transports = " ".join(f"{{{domain} = {kind}:[127.0.0.1]:{port}}}"
                              for domain, (kind, port) in routes.items())
        own = {"smtp_tls_cert_file": identity.cert_path, "smtp_tls_key_file": identity.key_path} if identity else {}
        super().__init__(name, folder, {
            **own,
            "myhostname": "sender.example.test",
            "transport_maps": f"inline:{{ {transports} }}",
            "smtp_tls_CAfile": ca,
            "smtp_tls_security_level": "verify",
            "smtp_tls_verify_cert_match": "mx.example.test",
            "smtp_tls_loglevel": "1",
            "smtp_address_preference": "ipv4",
        }, (f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
            "starttls unix - - n - - smtp\n"
            "wrapper unix - - n - - smtp\n"
            "  -o smtp_tls_wrappermode=yes\n"))


def split_stored(text):
    """(the header lines that Postfix put in front, the message itself), given a message that begins with
    our From line."""
    begin = re.search(rb"^From: <alice@client\.example\.test>$", text, re.MULTILINE)
    return (text[:begin.start()], text[begin.start():]) if begin else (text, b"")
