// SPDX-License-Identifier: GPL-3.0-or-later
// A plugin of Haraka: relays for 127.0.0.1; says what it accepted, and keeps nothing.
'use strict'

exports.hook_rcpt = (next, connection, [recipient]) => {
    const known = recipient.address.endsWith('@example.test') || connection.remote.ip === '127.0.0.1'
    next(known ? OK : DENY, known ? undefined : 'Relay access denied')
}

exports.hook_queue = (next, connection) => {
    const { mail_from, rcpt_to } = connection.transaction
    for (const recipient of rcpt_to) {
        process.stdout.write(`accepted ${mail_from.address} ${recipient.address} ${connection.remote.ip}\n`)
    }
    next(OK)
}
