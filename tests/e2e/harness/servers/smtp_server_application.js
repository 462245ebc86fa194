// SPDX-License-Identifier: GPL-3.0-or-later
// smtp_server_application.js PORT [useProxy | useXClient]: relays for 127.0.0.1; says what it accepted, and keeps
// nothing.
'use strict'

const { SMTPServer } = require('smtp-server')

const [port, option] = process.argv.slice(2)

const server = new SMTPServer({
    name: 'smtp-server.example.test',
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    useProxy: option === 'useProxy',
    useXClient: option === 'useXClient',
    onRcptTo(address, session, done) {
        const known = address.address.endsWith('@example.test') || session.remoteAddress === '127.0.0.1'
        done(known ? undefined : Object.assign(new Error('Relay access denied'), { responseCode: 554 }))
    },
    onData(stream, session, done) {
        stream.on('end', () => {
            for (const recipient of session.envelope.rcptTo) {
                console.log(`accepted ${session.envelope.mailFrom.address} ${recipient.address} ${session.remoteAddress}`)
            }
            done()
        })
        stream.resume()
    },
})
server.on('error', (error) => console.log(`error: ${error.message}`))
server.listen(Number(port), '127.0.0.1')
