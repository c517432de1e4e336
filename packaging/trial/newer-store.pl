# Makes a store look as if a newer version had written it: raises the format in
# the header of a segment and recomputes its CRC-32C. The argument is the
# segment's path.
use strict;
use warnings;

sub crc32c {
    my $crc = 0xffffffff;
    for my $byte (unpack 'C*', shift) {
        $crc ^= $byte;
        $crc = ($crc >> 1) ^ ($crc & 1 ? 0x82f63b78 : 0) for 1 .. 8;
    }
    return $crc ^ 0xffffffff;
}

open my $f, '+<:raw', $ARGV[0] or die "open $ARGV[0]: $!";
local $/;
my $data = <$f>;
my $changed = 0;
while ($data =~ /rch[\x01-\x62]/g) {
    my $at = pos($data) - 4;
    # A header is magic, version, 8-byte numbers, and the checksum of all these.
    for my $size (map { 4 + 8 * $_ } 1 .. 32) {
        last if length($data) < $at + $size + 4;
        next if unpack('N', substr $data, $at + $size, 4) != crc32c(substr $data, $at, $size);
        substr($data, $at + 3, 1) = "\x63";
        substr($data, $at + $size, 4) = pack 'N', crc32c(substr $data, $at, $size);
        $changed++;
        last;
    }
}
seek $f, 0, 0;
print $f $data;
close $f or die $!;
print "headers changed: $changed\n";
exit($changed ? 0 : 1);
