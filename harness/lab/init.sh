#!/bin/busybox sh
# The guest's first process: makes the host's own files its root, runs one command, powers off.
# ttyS0 is the kernel's log and these marks; ttyS1 the command's output; ttyS2 its exit status.
# shellcheck shell=dash
export PATH=/bin
/bin/busybox --install -s /bin

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

finish() {
    [ -z "$2" ] || echo "numa_lab: $2" >/dev/ttyS0
    echo "$1" >/dev/ttyS2
    sync
    poweroff -f
}

for module in /vm/modules/*.ko; do
    [ -e "$module" ] && insmod "$module"
done

# Read-only and unchanging while the guest runs: cached as eagerly as 9p allows.
mkdir /host /new
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=1048576,cache=loose hostroot /host ||
    finish 125 "cannot mount the host's files"
mount --bind /host /new
mount --bind /proc /new/proc
mount --bind /sys /new/sys
mount --bind /dev /new/dev
for folder in /tmp /run /var/tmp; do
    [ -d /new$folder ] && mount -t tmpfs -o mode=1777 tmp /new$folder
done
mkdir -p /new/tmp/home /new/dev/shm /new/dev/pts
mount -t tmpfs -o mode=1777 shm /new/dev/shm
mount -t devpts pts /new/dev/pts
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
ln -s /proc/self/fd /new/dev/fd
ln -s /proc/self/fd/0 /new/dev/stdin
ln -s /proc/self/fd/1 /new/dev/stdout
ln -s /proc/self/fd/2 /new/dev/stderr
hostname numa-lab
ip link set lo up

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
echo "numa_lab: ready" >/dev/ttyS0
if [ "$interactive" = 1 ]; then
    stty -F /dev/ttyS1 sane
    setsid -c chroot /new /bin/bash /run/lab-command </dev/ttyS1 >/dev/ttyS1 2>&1
    echo $? >/vm/status
else
    stty -F /dev/ttyS1 raw
    # Through a pipe, so that programs do not take the serial line for a person's terminal.
    {
        setsid chroot /new /bin/bash /run/lab-command </dev/null 2>&1
        echo $? >/vm/status
    } | cat >/dev/ttyS1
fi
read -r status </vm/status
stty -F /dev/ttyS1 sane # waits until the output has left
finish "$status" "command ended with status $status"
