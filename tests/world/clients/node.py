# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

RUN = "NODE_PATH=/usr/lib/ringpost-test-clients/node_modules NODE_EXTRA_CA_CERTS=$ca " \
      "/usr/lib/ringpost-test-clients/node_modules/node-linux-*/bin/node /etc/world/send.mjs"
# Never says QUIT: it ends TLS once its message is acknowledged.
Client("nodemailer", packages="npm:nodemailer", at_once=True, resumes=BOTH, quick=True, reason="client_eof", send=RUN,
       files={"etc/world/send.mjs": here("nodemailer_send.mjs")}, note="no QUIT")
Client("emailjs", packages="npm:emailjs", composes=True, dots=False, send=RUN,
       files={"etc/world/send.mjs": here("emailjs_send.mjs")}, note="keeps no line that begins with a dot")
