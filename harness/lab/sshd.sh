#!/usr/bin/env bash
# Runs inside a machine of the lab that was started with --forward PORT:22: an ssh server, until the machine ends.
# Nothing of the host's own ssh server is used but its program.
set -euo pipefail

usage() {
    cat <<'END'
Usage: harness/lab.sh --forward PORT:22 --share FOLDER -- harness/lab/sshd.sh FOLDER
Lets root into the machine with the keys of FOLDER/authorized_keys. Its own key is FOLDER/host_key, made when it
is not there. Then, with the private key of one of those:
  ssh -p PORT -i KEY -o UserKnownHostsFile=FOLDER/known_hosts -o StrictHostKeyChecking=no root@127.0.0.1 uname -a
Sessions begin in an empty folder, gone with the machine. PATH is that of the terminal that started the machine.
END
}

die() {
    echo "sshd.sh: $*" >&2
    exit 1
}

[ "${1:-}" != --help ] || { usage && exit 0; }
[ $# -eq 1 ] || { usage >&2 && exit 2; }
folder=$1
[ -e /run/lab-command ] || die "this is no machine of the lab; see --help"
server=$(PATH=$PATH:/usr/sbin command -v sshd) || die "sshd is not installed; it is in openssh-server"
[ -r "$folder/authorized_keys" ] || die "cannot read '$folder/authorized_keys'"
[ -e "$folder/host_key" ] || ssh-keygen -q -t ed25519 -N '' -C numa-lab -f "$folder/host_key" ||
    die "cannot write '$folder/host_key': the folder needs --share"

# Of the host's files the owner may be anybody, which sshd does not accept of its own key.
mkdir -m 755 /run/sshd /run/ssh
cp "$folder/authorized_keys" "$folder/host_key" /run/ssh/
chown 0:0 /run/ssh/*
chmod 600 /run/ssh/*

# Root's home is the host's, read-only, and on some hosts root may not log in.
{
    echo "root:x:0:0:root:$HOME:/bin/bash"
    grep -v '^root:' /etc/passwd
    grep -q '^sshd:' /etc/passwd || echo 'sshd:x:100:65534::/run/sshd:/usr/sbin/nologin'
} >/run/ssh/passwd
echo 'root:*:19000::::::' >/run/ssh/shadow
chmod 644 /run/ssh/passwd
mount --bind /run/ssh/passwd /etc/passwd
[ ! -e /etc/shadow ] || mount --bind /run/ssh/shadow /etc/shadow

cat >/run/ssh/config <<END
Port 22
AddressFamily inet
HostKey /run/ssh/host_key
AuthorizedKeysFile /run/ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
# Anybody may write to /run, where the keys are, but there is nobody but root.
StrictModes no
# Sweeps start several sessions at a time.
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv$(env | sed -nE 's/^((PATH|LANG|GIT_CONFIG_[A-Z0-9_]*)=.*)/ "\1"/p' | tr -d '\n')
END
exec "$server" -D -e -f /run/ssh/config
