// SPDX-License-Identifier: GPL-3.0-or-later
// smtp_server_application.js PORT [useProxy | useXClient | tls KEY CERTIFICATE CA]: relays for 127.0.0.1, but not to
// nobody.here@; says what it accepted, and keeps nothing. What came in TLS it prints whole.
'use strict'

const fs = require('node:fs')
const { SMTPServer } = require('smtp-server')

const [port, option, ...files] = process.argv.slice(2)
const [key, cert, ca] = files.map((path) => fs.readFileSync(path))
const inTls = new Map() // session id → its TLS

const server = new SMTPServer({
    name: 'smtp-server.example.test',
    authOptional: true,
    disabledCommands: option === 'tls' ? ['AUTH'] : ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    ...(option === 'useProxy' ? require('/etc/documented.js') : {}),
    useXClient: option === 'useXClient',
    ...(option === 'tls' ? { key, cert, ca, requestCert: true, rejectUnauthorized: false } : {}),
    onAuth({ username, password }, session, done) {
        const known = username === 'alice' && password === 'correct-horse'
        done(known ? null : new Error('Invalid username or password'), known ? { user: username } : undefined)
    },
    onSecure(socket, session, done) {
        inTls.set(session.id, `${socket.getProtocol()} ${socket.getPeerCertificate().subject?.CN ?? 'none'} ${socket.authorized}`)
        done()
    },
    onRcptTo(address, session, done) {
        if (address.address.startsWith('nobody.here@partner.')) {
            const text = `5.1.1 <${address.address}>: nobody of that name, says "smtp-server" (100% sure)`
            return done(Object.assign(new Error(text), { responseCode: 550 }))
        }
        const known = address.address.endsWith('@example.test') || session.remoteAddress === '127.0.0.1'
        done(known ? undefined : Object.assign(new Error('Relay access denied'), { responseCode: 554 }))
    },
    onData(stream, session, done) {
        const pieces = []
        stream.on('data', (piece) => option === 'tls' && pieces.push(piece))
        stream.on('end', () => {
            for (const recipient of session.envelope.rcptTo) {
                console.log(`accepted ${session.envelope.mailFrom.address} ${recipient.address} ${session.remoteAddress}`)
            }
            if (inTls.has(session.id)) {
                console.log(`in TLS ${inTls.get(session.id)} ${Buffer.concat(pieces).toString('base64')}`)
            }
            done()
        })
    },
})
server.on('error', (error) => console.log(`error: ${error.message}`))
server.listen(Number(port), '127.0.0.1')
