#!/bin/busybox sh
# The guest's first process: makes the host's own files its root, runs one command, powers off.
# Three serial lines: the kernel's log and these marks, the command's output, its exit status.
# shellcheck shell=dash
export PATH=/bin
/bin/busybox --install -s /bin

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

{ read -r log && read -r output && read -r result; } </vm/ports

finish() {
    [ -z "$2" ] || echo "numa_lab: $2" >"/dev/$log"
    echo "$1" >"/dev/$result"
    sync
    poweroff -f
}

for module in /vm/modules/*.ko /vm/network/*.ko; do
    [ -e "$module" ] && insmod "$module"
done

# Read-only and unchanging while the guest runs: cached as eagerly as 9p allows.
mkdir /host /new
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=1048576,cache=loose root /host ||
    finish 125 "cannot mount the host's files"
tree=
if ! [ -e /vm/tree ]; then
    mount --bind /host /new
else
    read -r tree </vm/tree
    # Programs of another architecture, with no place for this project's folder: one is made.
    for path in /host/*; do
        if [ -L "$path" ]; then
            cp -P "$path" /new/
        elif [ -d "$path" ]; then
            mkdir "/new/${path##*/}"
            [ -z "$(ls -A "$path")" ] || mount --bind "$path" "/new/${path##*/}"
        fi
    done
fi
mount --bind /proc /new/proc
mount --bind /sys /new/sys
mount --bind /dev /new/dev
for folder in /tmp /run /var/tmp; do
    [ -d /new$folder ] && mount -t tmpfs -o mode=1777 tmp /new$folder
done
mkdir -p /new/tmp/home /new/dev/shm /new/dev/pts
# What GNU parallel finds out when first started, the longest command line, in 20 starts of a shell.
mkdir -p /new/tmp/home/.parallel/tmp/sshlogin/numa-lab
echo 130000 >/new/tmp/home/.parallel/tmp/sshlogin/numa-lab/linelen
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
ln -s /proc/self/fd /new/dev/fd
ln -s /proc/self/fd/0 /new/dev/stdin
ln -s /proc/self/fd/1 /new/dev/stdout
ln -s /proc/self/fd/2 /new/dev/stderr
hostname numa-lab
ip link set lo up
if [ -d /vm/network ]; then
    card=
    for device in /sys/class/net/*/device; do
        [ -e "$device" ] && card=${device%/device} && card=${card##*/}
    done
    # Where QEMU expects the guest when it has asked for no address.
    { [ -n "$card" ] && ip addr add 10.0.2.15/24 dev "$card" && ip link set "$card" up; } ||
        finish 125 "cannot bring up the network card, which needs virtio_net"
fi

if [ -n "$tree" ]; then
    mkdir -p "/new$tree"
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=1048576,cache=loose tree "/new$tree" ||
        finish 125 "cannot show the folder $tree"
fi
# The checkout may lie below a folder that is a tmpfs here.
while read -r folder; do
    mkdir -p "/new$folder" 2>/dev/null
    mount --bind "/host$folder" "/new$folder" || finish 125 "cannot show the folder $folder"
done </vm/folders
number=0
while read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p "/new$folder" 2>/dev/null
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=mmap "share$number" "/new$folder" ||
        finish 125 "cannot mount the folder $folder"
    number=$((number + 1))
done </vm/shares
cp /vm/command /new/run/lab-command

read -r interactive </vm/interactive
echo "numa_lab: ready" >"/dev/$log"
if [ "$interactive" = 1 ]; then
    stty -F "/dev/$output" sane
    setsid -c chroot /new /bin/bash /run/lab-command <"/dev/$output" >"/dev/$output" 2>&1
    echo $? >/vm/status
else
    stty -F "/dev/$output" raw
    # Through a pipe, so that programs do not take the serial line for a person's terminal. What the command
    # leaves running keeps the pipe open, but does not keep the machine.
    mkfifo /vm/pipe
    cat </vm/pipe >"/dev/$output" &
    setsid chroot /new /bin/bash /run/lab-command </dev/null >/vm/pipe 2>&1
    echo $? >/vm/status
    for _ in 0 1 2 3 4 5 6 7 8 9; do
        kill -0 $! 2>/dev/null || break
        sleep 0.2
    done
fi
read -r status </vm/status
stty -F "/dev/$output" sane # waits until the output has left
finish "$status" "command ended with status $status"
