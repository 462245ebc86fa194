<?php
// SPDX-License-Identifier: GPL-3.0-or-later
require '/usr/share/php/libphp-phpmailer/autoload.php';

function must($done, $smtp, $what)
{
    if (!$done) {
        fwrite(STDERR, $what . ': ' . json_encode($smtp->getError()) . "\n");
        exit(1);
    }
}

$host = getenv('host');
$options = ['ssl' => ['cafile' => getenv('ca'), 'verify_peer' => true, 'peer_name' => $host]];
$implicit = getenv('way') === 'implicit';
$smtp = new PHPMailer\PHPMailer\SMTP();
must($smtp->connect(($implicit ? 'ssl://' : '') . $host, (int) getenv('port'), 20, $options), $smtp, 'connect');
must($smtp->hello('client.example.test'), $smtp, 'EHLO');
if (!$implicit) {
    must($smtp->startTLS(), $smtp, 'STARTTLS');
    must($smtp->hello('client.example.test'), $smtp, 'EHLO in TLS');
}
must($smtp->mail(getenv('from')) && $smtp->recipient(getenv('to')), $smtp, 'envelope');
must($smtp->data(file_get_contents(getenv('message'))), $smtp, 'DATA');
$smtp->quit();
