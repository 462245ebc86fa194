# SPDX-License-Identifier: GPL-3.0-or-later
"""qpsmtpd, which is told of no client but the one that connects."""

import re

from harness.servers.sandbox import Sandbox
from harness.servers.server import Delivery, Server

# Of Debian's list what neither asks the DNS nor waits. relayclients is read by a plugin that lacks a library.
PLUGINS = """
keep
rcpt_ok
"""
KEEP = """
sub hook_connect {
  my ($self) = @_;
  $self->qp->connection->relay_client(1) if $self->qp->connection->remote_ip eq "127.0.0.1";
  return DECLINED;
}
sub hook_rcpt {
  my ($self) = @_;
  return $self->qp->connection->relay_client ? OK : DECLINED;
}
# What becomes of a message: a line in the log.
sub hook_queue {
  my ($self, $transaction) = @_;
  for my $recipient ($transaction->recipients) {
    printf STDERR "accepted %s %s %s\\n", $transaction->sender->address, $recipient->address,
        $self->qp->connection->remote_ip;
  }
  return (OK, "Queued");
}
"""
SETUPS = ("qpsmtpd",)


class Qpsmtpd(Server):
    def __init__(self, folder, _setup):
        super().__init__(folder)
        files = {
            "etc/qpsmtpd/plugins": PLUGINS,
            "etc/qpsmtpd/plugin_dirs": "/usr/share/qpsmtpd/plugins\n/etc/qpsmtpd/own\n",
            "etc/qpsmtpd/own/keep": KEEP,
            "etc/qpsmtpd/rcpthosts": "example.test\n",
            "etc/qpsmtpd/logging": "logging/warn 6\n",
            "etc/qpsmtpd/me": "qpsmtpd.example.test\n",
        }
        self.process = Sandbox(
            folder.name, "qpsmtpd",
            ["qpsmtpd-forkserver", "--port", self.port, "--listen-address", "127.0.0.1", "--user", "qpsmtpd",
             "--max-from-ip", "40"],
            folder, users=["qpsmtpd"], files=files,
            # It asks for the client's name in any case. By TCP it is told at once that nobody answers.
            environment={"QPSMTPD_CONFIG": "/etc/qpsmtpd", "RES_OPTIONS": "usevc"},
            prepare="mkdir -p /var/spool/qpsmtpd; chown qpsmtpd: /var/spool/qpsmtpd; chmod 700 /var/spool/qpsmtpd")
        self.wait()

    def delivered(self):
        return [Delivery(*found) for found in re.findall(r"accepted (\S+) (\S+) (\S+)$", self.log, re.MULTILINE)]
