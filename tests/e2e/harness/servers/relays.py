# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that hand mail on to another: HAProxy, nginx and Dovecot's submission service, before Postfix."""

from harness.documents import backend_lines
from harness.process import free_port
from harness.servers import lmtp
from harness.servers.sandbox import Sandbox, version_of
from harness.servers.server import Server

USER, PASSWORD = "alice", "correct-horse"  # of Dovecot


class Relay(Server):
    """`behind` is who accepts the mail."""

    def __init__(self, folder, behind):
        super().__init__(folder)
        self.behind = behind

    def settled(self):
        super().settled()
        self.behind.settled()

    def delivered(self):
        return self.behind.delivered()


class HaProxy(Relay):
    SETUPS = {"haproxy": "", "haproxy accept-proxy": "accept-proxy"}
    BEHIND = "smtpd haproxy"
    CONFIGURATION = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 3s
  timeout server 5s
listen smtp
  bind 127.0.0.1:{port} {more}
  server postfix {behind} send-proxy-v2
"""

    def __init__(self, folder, setup, behind):
        super().__init__(folder, behind)
        text = self.CONFIGURATION.format(port=self.port, more=self.SETUPS[setup], behind=behind.address)
        self.process = Sandbox(folder.name, "haproxy", ["haproxy", "-db", "-f", "/etc/haproxy/test.cfg"], folder,
                               files={"etc/haproxy/test.cfg": text})
        self.wait()


class Nginx(Relay):
    SETUPS = ("nginx", "nginx proxy_protocol")
    BEHIND = "smtpd xclient"
    CONFIGURATION = """
daemon off;
master_process off;
error_log stderr info;
pid /run/nginx.pid;
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
events {{}}
mail {{
  server_name nginx.example.test;
  timeout 3s;
  {lines}
}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{answers};
    location / {{
      add_header Auth-Status OK;
      add_header Auth-Server 127.0.0.1;
      add_header Auth-Port {behind};
      return 204;
    }}
  }}
}}
"""
    PLAIN = """
  auth_http 127.0.0.1:{answers}/;
  xclient on;
  server {{
    listen 127.0.0.1:{port};
    protocol smtp;
    smtp_auth none;
  }}
"""

    def __init__(self, folder, setup, behind):
        super().__init__(folder, behind)
        answers, self.login_port = free_port(), free_port()
        lines = self.PLAIN.format(port=self.port, answers=answers)
        if setup == "nginx proxy_protocol":
            lines = backend_lines("nginx", {"9000": answers, "10025": self.port, "10587": self.login_port})
        text = self.CONFIGURATION.format(lines=lines, behind=behind.port, answers=answers)
        self.process = Sandbox(folder.name, "libnginx-mod-mail", ["nginx", "-c", "/etc/nginx/test.conf", "-e", "stderr"],
                               folder, files={"etc/nginx/test.conf": text}, prepare="mkdir -p /var/lib/nginx")
        self.wait()


class Dovecot(Relay):
    """Submission: nobody sends without a password."""

    SETUPS = ("dovecot", "dovecot haproxy", "dovecot xclient")
    BEHIND = "smtpd xclient"
    CONFIGURATION = """
protocols = submission
log_path = /dev/stderr
{ssl}
hostname = dovecot.example.test
first_valid_uid = 1
{accounts}
haproxy_timeout = 2s
{lines}
{onward}
"""
    ADDRESS = "    address = 127.0.0.1\n"  # which 2.4 calls otherwise

    def __init__(self, folder, setup, behind, ssl="ssl = no", onward=""):
        super().__init__(folder, behind)
        changes = {"10025": self.port, "10026": behind.port}
        if version_of("dovecot-core", "dovecot-submissiond") >= (2, 4):
            changes[self.ADDRESS] = self.ADDRESS.replace("address", "listen")
        if setup != "dovecot haproxy":
            changes["    haproxy = yes\n"] = ""
            changes["haproxy_trusted_networks"] = "login_trusted_networks" if setup == "dovecot xclient" else "haproxy_trusted_networks"
        lines = backend_lines("dovecot", changes)
        text = lmtp.configuration("dovecot-submissiond", self.CONFIGURATION, "/run/mail", PASSWORD, lines=lines, ssl=ssl, onward=onward)
        self.process = Sandbox(
            folder.name, "dovecot-submissiond", ["dovecot", "-F", "-c", "/etc/dovecot/test.conf"], folder,
            users=["dovecot", "dovenull"], files={"etc/dovecot/test.conf": text},
            prepare="mkdir /run/mail; chown dovecot: /run/mail",
            environment={"LD_LIBRARY_PATH": "/usr/lib/dovecot"})
        self.wait()


KINDS = (HaProxy, Nginx, Dovecot)
