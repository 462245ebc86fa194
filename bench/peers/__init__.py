# SPDX-License-Identifier: GPL-3.0-or-later
"""What bench/compare measures: a short file for each."""

from .bare import Bare
from .egress import PostfixClear, PostfixEgress, RingpostEgress, StunnelEgress
from .haproxy import Haproxy
from .hitch import Hitch
from .nginx import Nginx
from .postfix import Postfix
from .ringpost import Ringpost
from .stunnel import Stunnel

# Within a mode ringpost comes first: it is what the others of the same mode are compared with.
ENTRANTS = [
    (Ringpost, "implicit"),
    (Haproxy, "implicit"),
    (Hitch, "implicit"),
    (Nginx, "implicit"),
    (Stunnel, "implicit"),
    (Postfix, "implicit"),
    (Ringpost, "starttls"),
    (Nginx, "starttls"),
    (Stunnel, "starttls"),
    (Postfix, "starttls"),
    (Ringpost, "implicit, unix"),
    (Haproxy, "implicit, unix"),
    (Hitch, "implicit, unix"),
    (Stunnel, "implicit, unix"),
    (Ringpost, "starttls, unix"),
    (Stunnel, "starttls, unix"),
    (Ringpost, "plain"),  # the floor: the same relay without TLS
    (Bare, "plain"),  # under it: a relay that does nothing else
    (RingpostEgress, "egress"),  # mail that leaves
    (StunnelEgress, "egress"),
    (PostfixEgress, "egress"),
    (PostfixClear, "egress"),
]
