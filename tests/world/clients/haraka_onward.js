// SPDX-License-Identifier: GPL-3.0-or-later
// A plugin of Haraka: sends all mail to one server, and says when that has it.
'use strict'

exports.hook_rcpt = (next, connection) => {
    connection.relaying = true
    next(OK)
}

exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: process.env.host, port: Number(process.env.port) })

exports.hook_delivered = (next, hmail, [host, ip, response, delay, port, mode, recipients, secured]) => {
    process.stdout.write(`delivered in ${secured ? 'TLS' : 'clear'}\n`)
    next()
}
