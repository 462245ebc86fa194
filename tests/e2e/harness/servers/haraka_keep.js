// SPDX-License-Identifier: GPL-3.0-or-later
// A plugin of Haraka: relays for 127.0.0.1, but not to nobody.here@; says what it accepted, and keeps nothing. What came in
// TLS it prints whole.
'use strict'

exports.hook_rcpt = (next, connection, [recipient]) => {
    if (recipient.address.startsWith('nobody.here@partner.')) {
        return next(DENY, `<${recipient.address}>: nobody of that name, says "Haraka" (100% sure)`)
    }
    const known = recipient.address.endsWith('@example.test') || connection.remote.ip === '127.0.0.1'
    next(known ? OK : DENY, known ? undefined : 'Relay access denied')
}

exports.hook_queue = (next, connection) => {
    const { mail_from, rcpt_to, message_stream } = connection.transaction
    for (const recipient of rcpt_to) {
        process.stdout.write(`accepted ${mail_from.address} ${recipient.address} ${connection.remote.ip}\n`)
    }
    const { enabled, cipher, peerCertificate, verified } = connection.tls
    if (!enabled) return next(OK)
    message_stream.get_data((content) => {
        const name = peerCertificate?.subject?.CN ?? 'none'
        process.stdout.write(`in TLS ${cipher.version} ${name} ${verified} ${content.toString('base64')}\n`)
        next(OK)
    })
}
