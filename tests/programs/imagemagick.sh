#!/usr/bin/env bash
# ImageMagick, which works with threads: the pixels are the same.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
tool=$(type -P convert-im6.q16 || type -P magick) || true
[ -n "$tool" ] || skip "imagemagick is not installed"

work() {
    local side
    side=$(size 256 64)
    under "$tool" -size "${side}x$side" -seed 5 plasma:red-blue -depth 8 plasma.png
    under "$tool" "$root/docs/example/latency.png" -resize 100% -blur 0x2 -rotate 17 -strip changed.png
    under "$tool" plasma.png -swirl 120 -charcoal 2 -quality 80 drawn.jpg
    under "$tool" plasma.png \( +clone -fft \) -resize 50% -morphology Dilate Disk:4 -colors 64 out.gif
    under "$tool" plasma.png drawn.jpg -append -crop 100x100 +repage tiles-%03d.png
    find . -name '*.png' -o -name '*.jpg' -o -name '*.gif' | sort | while read -r file; do
        echo "$file $(convert_to_pixels "$file" | md5sum)"
    done
}

convert_to_pixels() {
    "$tool" "$1" -depth 8 rgba:-
}

"$1"
