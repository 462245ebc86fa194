// SPDX-License-Identifier: GPL-3.0-or-later
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import tls from 'node:tls'

const nodemailer = createRequire('/usr/lib/ringpost-test-clients/node_modules/')('nodemailer')
const { host, port, way, from, to, message_crlf } = process.env
// It passes a session to resume on to Node.js, but shows nobody the socket that would tell of one.
let session
const { connect } = tls
tls.connect = (...words) => connect(...words).on('session', (found) => { session = found })
for (const path of message_crlf.split(' ')) {
    const transport = nodemailer.createTransport({
        host, port: Number(port), secure: way === 'implicit', requireTLS: true, name: 'client.example.test',
        socketTimeout: 20000, tls: { session },
    })
    await transport.sendMail({ envelope: { from, to }, raw: readFileSync(path) })
}
