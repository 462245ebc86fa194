# SPDX-License-Identifier: GPL-3.0-or-later
from client import Client

MACROS = """
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `client.example.test')dnl
define(`confPRIVACY_FLAGS', `noexpn,novrfy')dnl
define(`QUEUE_DIR', `/run/mqueue')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl
define(`confCACERT_PATH', `/etc/ssl/certs')dnl
define(`SMART_HOST', `relay:[mx.example.test]')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
MAILER(`smtp')dnl
"""
# STARTTLS only: it has no way to say TLS from the start.
Client("sendmail", packages="sendmail-bin", users=("smmta", "smmsp"), ways=("starttls",), adds="received", quick=True,
       files={"etc/mail/test.mc": MACROS, "etc/aliases": "", "etc/mail/local-host-names": "",
              "etc/mail/service.switch": "hosts files\naliases files\n"},
       prepare="mkdir -p /run/mqueue; chmod 700 /run/mqueue; cd /usr/share/sendmail/cf; "
               "m4 m4/cf.m4 /etc/mail/test.mc >/etc/mail/sendmail.cf; cd $HOME\n", send="""
/usr/libexec/sendmail/sendmail -C /etc/mail/sendmail.cf -odi -i -v -f $from $to <$message
[ -z "$(ls /run/mqueue)" ]
""")
