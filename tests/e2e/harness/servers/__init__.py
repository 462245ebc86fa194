# SPDX-License-Identifier: GPL-3.0-or-later
"""Real mail servers behind ringpost, each in the ways it may be set up for ringpost or not."""

from harness.servers import exim, postfix


def start(world, setup):
    """The server that is set up in this way; it runs until the end of the run."""
    if setup in postfix.SETUPS:
        return postfix.PostfixSetup(world.postfix_servers, setup)
    folder = world.folder / setup.replace(" ", "-")
    return world.keep(_OTHERS[setup](folder, setup))


_OTHERS = {
    **dict.fromkeys(exim.SETUPS, exim.Exim),
}
SETUPS = (*postfix.SETUPS, *_OTHERS)
