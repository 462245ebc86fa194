# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed Postfix: one instance, with a port for each way of setting it up."""

import re

from harness.case import eventually
from harness.postfix import NOBODY, Postfix
from harness.process import free_port
from harness.servers.server import Delivery, Server

SETUPS = {
    "smtpd": "127.0.0.1:{port} inet n - n - - smtpd\n",
    "smtpd haproxy": "127.0.0.1:{port} inet n - n - - smtpd\n"
                     "  -o smtpd_upstream_proxy_protocol=haproxy\n",
    "smtpd xclient": "127.0.0.1:{port} inet n - n - - smtpd\n"
                     "  -o smtpd_authorized_xclient_hosts=127.0.0.1\n",
    "postscreen": "127.0.0.1:{port} inet n - n - 1 postscreen\n"
                  "  -o postscreen_cache_map=btree:$data_directory/screen-plain\n",
    "postscreen haproxy": "127.0.0.1:{port} inet n - n - 1 postscreen\n"
                          "  -o postscreen_cache_map=btree:$data_directory/screen-haproxy\n"
                          "  -o postscreen_upstream_proxy_protocol=haproxy\n",
}


class PostfixServers(Postfix):
    """`ports` by the name of the set-up."""

    def __init__(self, folder):
        self.ports = {name: free_port() for name in SETUPS}
        services = "".join(text.format(port=self.ports[name]) for name, text in SETUPS.items())
        super().__init__("postfix-servers", folder, {
            "myhostname": "backend.example.test",
            "mynetworks": "127.0.0.1/32",
            "virtual_mailbox_domains": "example.test",
            "virtual_mailbox_base": folder / "mail",
            "virtual_mailbox_maps": "inline:{ {bob@example.test = bob/} }",
            "virtual_minimum_uid": "100",
            "virtual_uid_maps": f"static:{NOBODY}",
            "virtual_gid_maps": f"static:{NOBODY}",
            "default_transport": "discard",  # nothing leaves this machine
            "relay_transport": "discard",
            "postscreen_greet_wait": "1s",
            "smtpd_upstream_proxy_timeout": "2s",
            "postscreen_upstream_proxy_timeout": "2s",
        }, services + "smtpd pass - - n - - smtpd\ntlsproxy unix - - n - 0 tlsproxy\ndnsblog unix - - n - 0 dnsblog\n")

    def delivered(self):
        log = self.log
        clients = dict(re.findall(r"smtpd\[\d+\]: ([0-9A-F]+): client=\S*?\[([^\]]+)\]", log))
        senders = dict(re.findall(r"qmgr\[\d+\]: ([0-9A-F]+): from=<([^>]*)>", log))
        return [Delivery(senders.get(number), recipient, clients.get(number)) for number, recipient in
                re.findall(r"/(?:virtual|discard)\[\d+\]: ([0-9A-F]+): to=<([^>]*)>.* status=sent", log)]

    def settled(self):
        queue = self.folder / "queue"
        eventually(lambda: not any(path.is_file() for name in ("incoming", "active", "maildrop")
                                   for path in (queue / name).rglob("*")), "an empty queue")


class PostfixSetup(Server):
    """One of SETUPS."""

    def __init__(self, postfix, setup):
        self.postfix = postfix
        self.process = postfix.process
        self.port = postfix.ports[setup]
        self.address = f"127.0.0.1:{self.port}"

    def stop(self):
        pass  # the others still use it

    def settled(self):
        super().settled()
        self.postfix.settled()

    def delivered(self):
        return self.postfix.delivered()
