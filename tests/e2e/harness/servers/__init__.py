# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail servers behind ringpost, each in the ways it may be set up for ringpost or not."""

from harness.servers import (
    aiosmtpd, chasquid, courier, cyrus, exim, lmtp, msmtpd, node, opensmtpd, postfix, qpsmtpd, relays, sendmail)

_ALONE = {
    **dict.fromkeys(exim.SETUPS, exim.Exim),
    **dict.fromkeys(opensmtpd.SETUPS, opensmtpd.OpenSmtpd),
    **dict.fromkeys(aiosmtpd.SETUPS, aiosmtpd.Aiosmtpd),
    **dict.fromkeys(courier.SETUPS, courier.Courier),
    **dict.fromkeys(qpsmtpd.SETUPS, qpsmtpd.Qpsmtpd),
    **dict.fromkeys(sendmail.SETUPS, sendmail.Sendmail),
    **dict.fromkeys(chasquid.SETUPS, chasquid.Chasquid),
    **dict.fromkeys(msmtpd.SETUPS, msmtpd.Msmtpd),
    **dict.fromkeys(lmtp.SETUPS, lmtp.DovecotLmtp),
    **dict.fromkeys(cyrus.SETUPS, cyrus.CyrusLmtp),
    **{setup: kind for kind in node.KINDS for setup in kind.SETUPS},
}
_RELAYS = {setup: kind for kind in relays.KINDS for setup in kind.SETUPS}
SETUPS = (*postfix.SETUPS, *_ALONE, *_RELAYS)


def start(world, setup):
    """The server that is set up in this way; it runs until the end of the run."""
    if setup in postfix.SETUPS:
        return postfix.PostfixSetup(world.postfix_servers, setup)
    folder = world.folder / setup.replace(" ", "-")
    if setup in _ALONE:
        return world.keep(_ALONE[setup](folder, setup))
    kind = _RELAYS[setup]
    return world.keep(kind(folder, setup, world.server(kind.BEHIND)))
