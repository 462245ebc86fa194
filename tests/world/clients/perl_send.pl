# SPDX-License-Identifier: GPL-3.0-or-later
use strict;
use warnings;
use Net::SMTP;

my %verified = (SSL_ca_file => $ENV{ca}, SSL_verify_mode => 1, SSL_verifycn_name => $ENV{host}, SSL_hostname => $ENV{host});
my $implicit = $ENV{way} eq 'implicit';
my $smtp = Net::SMTP->new($ENV{host}, Port => $ENV{port}, Hello => 'client.example.test', Timeout => 20,
    $implicit ? (SSL => 1, %verified) : ()) or die "no connection: $@ $!";
$implicit or $smtp->starttls(%verified) or die 'STARTTLS: ' . $smtp->message;
open my $file, '<', $ENV{message} or die "$ENV{message}: $!";
my @lines = <$file>;
$smtp->mail($ENV{from}) && $smtp->to($ENV{to}) && $smtp->data(\@lines) or die 'refused: ' . $smtp->message;
$smtp->quit;
