// SPDX-License-Identifier: GPL-3.0-or-later
import { readFileSync } from 'node:fs'
import { SMTPClient } from '/usr/lib/ringpost-test-clients/node_modules/emailjs/dist/index.js'

const { host, port, way, from, to, subject, body } = process.env
const client = new SMTPClient({
    host, port: Number(port), domain: 'client.example.test', timeout: 20000, ssl: way === 'implicit', tls: way === 'starttls',
})
await client.sendAsync({ from, to, subject, text: readFileSync(body, 'utf8').replaceAll('\n', '\r\n') })
