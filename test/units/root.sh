#!/bin/sh
# Makes the Debian root with systemd that the units are started in, from Debian's packages only: an ext4 image, its kernel
# and initial RAM disk. Idempotent; at once when all is there. Needs root, debootstrap and mke2fs.
# Usage: root.sh DIR
#   DIR/base.ext4, DIR/vmlinuz, DIR/initrd.img
set -eu

[ $# = 1 ] || {
	echo "root.sh: expected one folder, found $# arguments" >&2
	exit 2
}
mkdir -p "$1"
dir=$(cd "$1" && pwd)
suite=bookworm
stamp=$(cksum <"$0")
[ "$(cat "$dir/stamp" 2>/dev/null || true)" != "$stamp" ] || exit 0

exec 9>"${ROBOWARDEN_APT_LOCK:-${TMPDIR:-/tmp}/robowarden-apt.lock}"
flock 9
[ "$(cat "$dir/stamp" 2>/dev/null || true)" != "$stamp" ] || exit 0

PATH=$PATH:/usr/sbin:/sbin
main=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk -v s=$suite '$2 == s { print $1; exit }')
[ -n "$main" ] || {
	echo "root.sh: this system has no apt source for Debian $suite: expected Debian 12" >&2
	exit 1
}
root="$dir/root"
rm -rf "$root"
debootstrap --variant=minbase --include=systemd,systemd-sysv,linux-image-cloud-amd64,initramfs-tools,zstd,iproute2,busybox \
	$suite "$root" "$main" >"$dir/debootstrap.log" 2>&1 || {
	tail -n 20 "$dir/debootstrap.log" >&2
	exit 1
}
cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
cp "$root"/boot/initrd.img-* "$dir/initrd.img"
chmod 0644 "$dir/vmlinuz" "$dir/initrd.img"

# What a machine without a network and without people does not need, and the test itself.
rm -rf "$root"/boot/* "$root"/usr/share/doc/* "$root"/usr/share/locale/* "$root"/usr/share/man/* "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
for u in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
	systemd-networkd-wait-online.service e2scrub_reap.service systemd-pstore.service; do
	ln -sf /dev/null "$root/etc/systemd/system/$u"
done
echo robot >"$root/etc/hostname"
printf '127.0.0.1 localhost robot\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 defaults 0 0\n/dev/vdb /media ext4 ro 0 0\n' >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
cat >"$root/etc/systemd/system/robot-test.service" <<'U'
[Unit]
Description=the test
RequiresMountsFor=/media
After=multi-user.target
[Service]
Type=simple
ExecStart=/media/guest run
[Install]
WantedBy=multi-user.target
U
ln -sf /etc/systemd/system/robot-test.service "$root/etc/systemd/system/multi-user.target.wants/robot-test.service"
rm -f "$dir/base.ext4"
mke2fs -q -t ext4 -d "$root" "$dir/base.ext4" 1200M
rm -rf "$root"
echo "$stamp" >"$dir/stamp"
