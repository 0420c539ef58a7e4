# Builds, changes and takes apart what Perl has; prints sums that are known to be the same every time.
use strict;
use warnings;
use Config;
use Digest::MD5 'md5_hex';
use List::Util qw(sum shuffle);
use POSIX ();
use Storable qw(freeze thaw dclone);

my $words = shift;

my %count;
$count{"word" . $_ * 7919 % 100003} .= "x" for 1 .. $words;
delete $count{"word$_"} for 1 .. 20000;
print scalar(keys %count), " ", md5_hex(join ",", map { "$_=" . length $count{$_} } sort keys %count), "\n";

my $text = join " ", map { "k$_=" . "v" x ($_ % 50) . ";" } 1 .. $words / 20;
my $changed = 0;
$changed++ while $text =~ s/k(\d*7)=(v*);/length($2) . "!"/e;
print "$changed ", md5_hex($text), "\n";
my @fields = split /[ ;=]+/, $text;
print scalar(@fields), " ", md5_hex(join "|", sort { length $a <=> length $b || $a cmp $b } @fields), "\n";

# A tree whose nodes know their parents: freed only because the links are weak.
use Scalar::Util 'weaken';
sub tree {
    my ($depth, $parent) = @_;
    my $node = {depth => $depth, parent => $parent, name => "n" x $depth};
    weaken $node->{parent};
    $node->{children} = [map { tree($depth - 1, $node) } 1 .. 3] if $depth;
    return $node;
}
sub size { my $node = shift; return 1 + sum(0, map { size($_) } @{$node->{children} || []}) }
my $copy = thaw freeze dclone tree(7);
print size($copy), "\n";

my $packed = pack "N*", map { $_ * 2654435761 % 4294967296 } 1 .. 5000;
print md5_hex(join ",", unpack "(H8)*", $packed), "\n";

# Interpreters, each a clone of all the data so far.
if ($Config{useithreads}) {
    require threads;
    my @threads = map { my $i = $_; threads->create(sub { sum(map { length $count{$_} } grep { /$i/ } keys %count) }) } 1 .. 4;
    print join(" ", map { $_->join } @threads), "\n";
}

for my $i (1 .. 6) {
    pipe my $read, my $write or die;
    my $pid = fork // die;
    if (!$pid) {
        my %mine = map { $_ => $_ x $i } keys %count;
        print $write scalar(keys %mine), " ", sum(map { length } values %mine), "\n";
        close $write;
        exit 0;
    }
    close $write;
    print "child $i: ", <$read>;
    waitpid $pid, 0;
    die "child: $?" if $?;
}

my $code = join "\n", map { "sub f$_ { my \$x = shift; return \$x * $_ + " . ($_ > 1 ? "f" . ($_ - 1) . "(\$x)" : 1) . " }" } 1 .. 90;
eval "$code; 1" or die $@;
print f90(3), "\n";
printf "%s\n", join " ", map { local $@; eval { die {code => $_} }; $@->{code} } 1 .. 10;
