# SPDX-License-Identifier: GPL-3.0-or-later
"""With which clients and servers ringpost was tried, by version: what README says."""

import datetime
import importlib
import re

from client import CLIENTS, upstream_version
from harness.process import run
from harness.world import ROOT

BEGIN, END = "<!-- tools/world --readme -->\n", "<!-- end -->\n"
# Server → its package, one of tools/fetch-servers.
SERVERS = {
    "Postfix smtpd": ("smtpd", "postfix"), "Postfix postscreen": ("postscreen", "postfix"),
    "Exim": ("exim", "exim4-daemon-heavy"), "OpenSMTPD": ("opensmtpd", "opensmtpd"), "Haraka": ("haraka", "npm:Haraka"),
    "aiosmtpd": ("aiosmtpd", "python3-aiosmtpd"), "smtp-server": ("smtp-server", "npm:smtp-server"),
    "nginx (mail)": ("nginx", "libnginx-mod-mail"), "HAProxy": ("haproxy", "haproxy"),
    "Dovecot submission": ("dovecot", "dovecot-submissiond"), "chasquid": ("chasquid", "chasquid"),
    "Courier": ("courier", "courier-mta"), "qpsmtpd": ("qpsmtpd", "qpsmtpd"), "sendmail": ("sendmail", "sendmail-bin"),
    "msmtpd": ("msmtpd", "msmtp-mta"), "Dovecot LMTP": ("dovecot lmtp", "dovecot-lmtpd"),
    "Cyrus LMTP": ("cyrus lmtp", "cyrus-imapd"),
}
OUTCOMES = {"failed": "fails", "skipped": "not tried"}


def client_rows(results):
    """`results`: (name, way) → (outcome, words)."""
    rows = ["| client | version | STARTTLS | TLS from the start | |", "|---|---|---|---|---|"]
    for client in sorted(CLIENTS, key=lambda client: client.title.lower()):
        found = [results.get((client.name, way), ("", "–")) for way in ("starttls", "implicit")]
        if any(outcome for outcome, _ in found):
            cells = [OUTCOMES.get(outcome, words) for outcome, words in found]
            failed = any(outcome == "failed" for outcome, _ in found)
            words = "; ".join(filter(None, (client.note, client.trouble if failed else "")))
            rows.append("| " + " | ".join([client.title, client.version(), *cells, words]) + " |")
    return rows


def server_version(package):
    store = ROOT / ".cache/servers"
    if package.startswith("npm:"):
        lock = store / "npm/.complete"
        found = re.search(rf'"node_modules/{package[4:]}": {{\s*"version": "([^"]+)"', lock.read_text()) if lock.exists() else None
        return found.group(1) if found else ""
    complete = store / package / ".complete"
    if complete.exists():
        found = re.search(rf"^{re.escape(package)}_(.*)_\w+\.deb$", complete.read_text(), re.MULTILINE)
        return upstream_version(found.group(1).replace("%3a", ":")) if found else ""
    code, version, _ = run(["dpkg-query", "--show", "--showformat", "${Version}", package])
    return "" if code else upstream_version(version)


def server_rows():
    """From the matrix of the end-to-end tests: which identities fit, however the server is set up."""
    matrix = importlib.import_module("cases.backends").MATRIX
    rows = ["| server | version | identities |", "|---|---|---|"]
    for title, (setup, package) in sorted(SERVERS.items(), key=lambda item: item[0].lower()):
        # Set-ups begin with the server's name; a service for LMTP is another server.
        fitting = {identity for name, pairs in matrix.items()
                   if name == setup or name.split()[0] == setup and not name.endswith(" lmtp")
                   for identity, pair in pairs.items() if pair.client}
        rows.append(f"| {title} | {server_version(package)} | {', '.join(f'`{one}`' for one in sorted(fitting)) or '–'} |")
    return rows


def write_readme(results):
    path = ROOT / "README.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = "\n".join([f"Clients, as they were seen on {datetime.date.today():%-d %B %Y}:", "", *client_rows(results), "",
                      "Mail servers, and the ways in which they can be told of the client:", "", *server_rows(), ""])
    path.write_text(before + BEGIN + text + END + after, encoding="utf-8")
