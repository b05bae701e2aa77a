# An OSC client that shares no code with Vivant: it subscribes, sets values alone and in bundles, one of them for
# later, and prints what it is told, a line each, until it was told enough.
#   perl osc_client.pl PORT
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $door = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ARGV[0], Proto => 'udp') or die $!;

sub padded { my ($text) = @_; return $text . "\0" x (4 - length($text) % 4) }

sub message {
    my ($address, $tags, @values) = @_;
    my $packet = padded($address) . padded(",$tags");
    for my $tag (split //, $tags) {
        $packet .= pack('f>', shift @values) if $tag eq 'f';
        $packet .= pack('l>', shift @values) if $tag eq 'i';
        $packet .= padded(shift @values)     if $tag eq 's';
    }
    return $packet;
}

sub bundle {
    my ($when_s, @messages) = @_;
    my ($seconds, $part) = $when_s ? (int($when_s) + 2208988800, ($when_s - int($when_s)) * 2**32) : (0, 1);
    return "#bundle\0" . pack('NN', $seconds, $part) . join '', map { pack('N', length $_) . $_ } @messages;
}

sub told {
    my ($packet) = @_;
    my ($address, $rest) = split /\0/, $packet, 2;
    my $at = int(length($address) / 4) * 4 + 4;
    my ($tags) = split /\0/, substr $packet, $at;
    $at += int(length($tags) / 4) * 4 + 4;
    my @values;
    for my $tag (split //, substr $tags, 1) {
        if ($tag eq 's') {
            my ($text) = split /\0/, substr $packet, $at;
            push @values, $text;
            $at += int(length($text) / 4) * 4 + 4;
            next;
        }
        push @values, $tag eq 'f' ? sprintf('%.4f', unpack('f>', substr $packet, $at, 4)) : unpack('l>', substr $packet, $at, 4);
        $at += 4;
    }
    return join ' ', $address, @values;
}

$door->send(message('/vivant/ping', 'i', 41));
$door->send(message('/vivant/subscribe', ''));
$door->send(message('/vivant/look/exposure', 'f', 1.25));
$door->send(bundle(0, message('/vivant/style/choose', 's', 'ink'), message('/vivant/student/seed', 'i', 77)));
$door->send(bundle(time() + 0.4, message('/vivant/look/contrast', 'f', 0.5)));
$door->send(message('/vivant/look/exposure', 's', 'bright'));

$| = 1;
my ($ready, $end) = (IO::Select->new($door), time() + 20);
while (time() < $end) {
    next unless $ready->can_read(0.1);
    $door->recv(my $packet, 65536);
    my $line = told($packet);
    print "$line\n";
    last if $line eq '/vivant/look/contrast 0.5000';
}
