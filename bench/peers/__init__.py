# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxies that bench/compare measures: a short file for each."""

from .haproxy import Haproxy
from .hitch import Hitch
from .nginx import Nginx
from .ringpost import Ringpost
from .stunnel import Stunnel

# Within a way of beginning TLS, ringpost first: it is what the others are compared with.
ENTRANTS = [
    (Ringpost, "implicit"),
    (Haproxy, "implicit"),
    (Hitch, "implicit"),
    (Nginx, "implicit"),
    (Stunnel, "implicit"),
    (Ringpost, "starttls"),
    (Nginx, "starttls"),
    (Stunnel, "starttls"),
    (Ringpost, "plain"),  # the floor: the same relay without TLS
]
