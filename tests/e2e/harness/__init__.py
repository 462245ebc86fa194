# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end-to-end cases stand on: real servers and clients, each in a private folder on loopback."""
