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
# The kernel's own RAM disk is not used: making it is the longest part.
INITRD=No debootstrap --variant=minbase --include=systemd,systemd-sysv,linux-image-cloud-amd64,initramfs-tools,iproute2,busybox-static \
	$suite "$root" "$main" >"$dir/debootstrap.log" 2>&1 || {
	tail -n 20 "$dir/debootstrap.log" >&2
	exit 1
}
cp "$root"/boot/vmlinuz-* "$dir/vmlinuz"
chmod 0644 "$dir/vmlinuz"

# An initial RAM disk of our own: the drivers of the disks and nothing else. Debian's looks for hardware first, which takes
# an emulated processor far longer than everything else.
release=$(ls "$root/lib/modules")
init="$dir/init"
rm -rf "$init"
mkdir -p "$init/bin" "$init/dev" "$init/mod" "$init/new"
cp "$root/bin/busybox" "$init/bin/busybox"
for m in virtio_pci virtio_blk virtio-rng; do
	modprobe -d "$root" -S "$release" --show-depends $m | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' >"$init/needed"
while read -r k; do
	cp "$k" "$init/mod/"
	basename "$k" >>"$init/mod/order"
done <"$init/needed"
cat >"$init/init" <<'I'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for m in $(/bin/busybox cat /mod/order); do /bin/busybox insmod /mod/$m; done
/bin/busybox mount -t ext4 /dev/vda /new
/bin/busybox mount -o move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
I
chmod 0755 "$init/init"
rm "$init/needed"
(cd "$init" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet >"$dir/initrd.img")
rm -rf "$init"

# What a machine without a network, without people and without hardware to find does not need, and the test itself.
rm -rf "$root"/boot/* "$root"/usr/share/doc/* "$root"/usr/share/locale/* "$root"/usr/share/man/* "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
for u in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer getty@tty1.service serial-getty@ttyS0.service \
	systemd-networkd-wait-online.service e2scrub_reap.service systemd-pstore.service systemd-udevd.service systemd-udev-trigger.service \
	systemd-udev-settle.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-modules-load.service systemd-logind.service \
	systemd-binfmt.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount systemd-tmpfiles-clean.timer systemd-update-utmp.service \
	systemd-remount-fs.service; do
	ln -sf /dev/null "$root/etc/systemd/system/$u"
done
echo robot >"$root/etc/hostname"
printf '127.0.0.1 localhost robot\n' >"$root/etc/hosts"
: >"$root/etc/fstab"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
cat >"$root/etc/systemd/system/robot-test.service" <<'U'
[Unit]
Description=the test
After=multi-user.target
[Service]
Type=simple
ExecStartPre=/bin/mount -o ro /dev/vdb /media
ExecStart=/media/guest run
[Install]
WantedBy=multi-user.target
U
ln -sf /etc/systemd/system/robot-test.service "$root/etc/systemd/system/multi-user.target.wants/robot-test.service"
rm -f "$dir/base.ext4"
mke2fs -q -t ext4 -d "$root" "$dir/base.ext4" 1200M
rm -rf "$root"
echo "$stamp" >"$dir/stamp"
