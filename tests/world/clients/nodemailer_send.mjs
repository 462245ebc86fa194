// SPDX-License-Identifier: GPL-3.0-or-later
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const nodemailer = createRequire('/usr/lib/ringpost-test-clients/node_modules/')('nodemailer')
const { host, port, way, from, to, message_crlf } = process.env
const transport = nodemailer.createTransport({
    host, port: Number(port), secure: way === 'implicit', requireTLS: true, name: 'client.example.test', socketTimeout: 20000,
})
await transport.sendMail({ envelope: { from, to }, raw: readFileSync(message_crlf) })
