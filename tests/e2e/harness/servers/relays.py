# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that hand mail on to another: HAProxy, nginx and Dovecot's submission service, before Postfix."""

from harness.process import free_port
from harness.servers import lmtp
from harness.servers.sandbox import Sandbox
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
    SETUPS = {"nginx": "", "nginx proxy_protocol": "proxy_protocol"}
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
  auth_http 127.0.0.1:{answers}/;
  xclient on;
  timeout 3s;
  server {{
    listen 127.0.0.1:{port} {more};
    set_real_ip_from 127.0.0.1;
    protocol smtp;
    smtp_auth none;
  }}
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

    def __init__(self, folder, setup, behind):
        super().__init__(folder, behind)
        text = self.CONFIGURATION.format(port=self.port, more=self.SETUPS[setup], behind=behind.port,
                                         answers=free_port())
        self.process = Sandbox(folder.name, "libnginx-mod-mail", ["nginx", "-c", "/etc/nginx/test.conf", "-e", "stderr"],
                               folder, files={"etc/nginx/test.conf": text}, prepare="mkdir -p /var/lib/nginx")
        self.wait()


class Dovecot(Relay):
    """Submission: nobody sends without a password."""

    SETUPS = {"dovecot": "", "dovecot haproxy": "haproxy = yes", "dovecot xclient": ""}
    BEHIND = "smtpd xclient"
    CONFIGURATION = """
protocols = submission
log_path = /dev/stderr
{ssl}
hostname = dovecot.example.test
first_valid_uid = 1
{accounts}
service submission-login {{
  inet_listener submission {{
    {listen} = 127.0.0.1
    port = {port}
    {more}
  }}
}}
haproxy_trusted_networks = 127.0.0.1/32
haproxy_timeout = 2s
{trusted}
submission_relay_host = 127.0.0.1
submission_relay_port = {behind}
submission_relay_trusted = yes
{onward}
"""

    def __init__(self, folder, setup, behind, ssl="ssl = no", onward=""):
        super().__init__(folder, behind)
        trusted = "login_trusted_networks = 127.0.0.1/32" if setup == "dovecot xclient" else ""
        text = lmtp.configuration("dovecot-submissiond", self.CONFIGURATION, "/run/mail", PASSWORD, port=self.port,
                                  more=self.SETUPS[setup], behind=behind.port, trusted=trusted, ssl=ssl, onward=onward)
        self.process = Sandbox(
            folder.name, "dovecot-submissiond", ["dovecot", "-F", "-c", "/etc/dovecot/test.conf"], folder,
            users=["dovecot", "dovenull"], files={"etc/dovecot/test.conf": text},
            prepare="mkdir /run/mail; chown dovecot: /run/mail",
            environment={"LD_LIBRARY_PATH": "/usr/lib/dovecot"})
        self.wait()


KINDS = (HaProxy, Nginx, Dovecot)
