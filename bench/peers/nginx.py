# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's mail proxy, one worker. Who may pass is asked of an HTTP server, here a second nginx on the load's CPU, which
always says yes; the worker's side of the asking is nginx's own cost."""

from .base import GROUPS, LOAD_CPU, Peer, TLS12_SUITES, TLS13_SUITE, free_port, output, start, wait_for_port

MAIL = """\
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
user nobody nogroup;
worker_processes 1;
error_log stderr crit;
pid {folder}/nginx.pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 19500; multi_accept on; }}
mail {{
    server_name bench.example.test;
    auth_http 127.0.0.1:{auth_port}/;
    proxy_pass_error_message on;
    ssl_certificate {certificate}.pem;
    ssl_certificate_key {certificate}.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites {suite13};
    ssl_ciphers {suites12};
    ssl_ecdh_curve {groups};
    ssl_session_cache shared:s:8m;
    server {{
        listen 127.0.0.1:{port} {ssl};
        starttls {starttls};
        protocol smtp;
        smtp_auth none;
        xclient off;
        proxy_protocol on;
        timeout 5m;
    }}
}}
"""

AUTH = """\
daemon off;
user nobody nogroup;
worker_processes 1;
error_log stderr crit;
pid {folder}/auth.pid;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{auth_port};
        location / {{
            add_header Auth-Status OK;
            add_header Auth-Server 127.0.0.1;
            add_header Auth-Port {sink_port};
            return 200;
        }}
    }}
}}
"""


class Nginx(Peer):
    name = "nginx"
    packages = ("nginx-light", "libnginx-mod-mail")
    programs = ("/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_mail_module.so")
    identity = "PROXY v1"
    share = 0.08  # 43 ms and more for each dialogue, whatever the load: Nagle's algorithm is on
    note = "connects to the backend at RCPT: without a message it has none"

    def command(self):
        auth_port = free_port()
        values = {"folder": self.folder, "port": self.port, "auth_port": auth_port, "sink_port": self.sink.port,
                  "certificate": self.certificate, "groups": GROUPS, "suite13": TLS13_SUITE, "suites12": TLS12_SUITES,
                  "ssl": "ssl" if self.tls == "implicit" else "", "starttls": "off" if self.tls == "implicit" else "on"}
        auth = start(LOAD_CPU, self.folder, "auth", ["/usr/sbin/nginx", "-c", self.write("auth.conf", AUTH.format(**values))])
        self.helpers.append(auth)
        wait_for_port(auth, auth_port, self.folder / "auth.log")
        return ["/usr/sbin/nginx", "-c", self.write("nginx.conf", MAIL.format(**values))]

    def version(self):
        return output("/usr/sbin/nginx", "-v")
