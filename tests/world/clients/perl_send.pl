# SPDX-License-Identifier: GPL-3.0-or-later
use strict;
use warnings;
use IO::Socket::SSL;
use Net::SMTP;

# It keeps its sessions in the context.
my $context = IO::Socket::SSL::SSL_Context->new(
    SSL_ca_file => $ENV{ca}, SSL_verify_mode => 1, SSL_session_cache_size => 10) or die "no context: $SSL_ERROR";
my %verified = (SSL_reuse_ctx => $context, SSL_verifycn_name => $ENV{host}, SSL_hostname => $ENV{host});
my $implicit = $ENV{way} eq 'implicit';
for my $path (split / /, $ENV{message}) {
    my $smtp = Net::SMTP->new($ENV{host}, Port => $ENV{port}, Hello => 'client.example.test', Timeout => 20,
        $implicit ? (SSL => 1, %verified) : ()) or die "no connection: $@ $!";
    $implicit or $smtp->starttls(%verified) or die 'STARTTLS: ' . $smtp->message;
    open my $file, '<', $path or die "$path: $!";
    my @lines = <$file>;
    $smtp->mail($ENV{from}) && $smtp->to($ENV{to}) && $smtp->data(\@lines) or die 'refused: ' . $smtp->message;
    $smtp->quit;
}
