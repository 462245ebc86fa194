# SPDX-License-Identifier: GPL-3.0-or-later
from client import BOTH, Client, here

Client("perl", title="Perl Net::SMTP (IO::Socket::SSL)", packages="libio-socket-ssl-perl", at_once=True, resumes=BOTH, quick=True,
       files={"etc/world/send.pl": here("perl_send.pl")}, send="perl /etc/world/send.pl")
