#!/bin/sh
# Fetches Debian's arm64 kernel and builds the one driver for it that Debian leaves out: tpm_tis, without which the
# kernel does not see the TPM of QEMU's "virt" machine. Idempotent; under a tenth of a second when all is there.
# Usage: kernel.sh DIR
#   DIR/vmlinuz        the kernel
#   DIR/modules/       the modules that the machine loads, with what they depend on, and their order in "order"
#   DIR/version        the kernel's release and the package's version
# The system's own apt configuration is used only to find the mirror: no foreign architecture is added to it.
set -eu

[ $# = 1 ] || {
	echo "kernel.sh: expected one folder, found $# arguments" >&2
	exit 2
}
mkdir -p "$1"
dir=$(cd "$1" && pwd)
arch=arm64
suite=bookworm
wanted="virtio_pci virtio_net virtio_blk virtio-rng ext4 crc32c_generic tpm_tis_core gpio-pl061 i6300esb can-raw vcan kvaser_pci"
# A new list of modules, or a new way to build, makes everything anew.
stamp=$(cksum <"$0")
[ "$(cat "$dir/stamp" 2>/dev/null || true)" != "$stamp" ] || exit 0

exec 9>"${ROBOWARDEN_APT_LOCK:-${TMPDIR:-/tmp}/robowarden-apt.lock}"
flock 9
[ "$(cat "$dir/stamp" 2>/dev/null || true)" != "$stamp" ] || exit 0

work="$dir/work"
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb"
: >"$work/status"

# mirror prints the address of a suite in the system's own sources.
mirror() {
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | awk -v s="$1" '$2 == s { print $1; exit }'
}
main=$(mirror $suite)
security=$(mirror $suite-security)
[ -n "$main" ] || {
	echo "kernel.sh: this system has no apt source for Debian $suite: expected Debian 12" >&2
	exit 1
}
key=/usr/share/keyrings/debian-archive-keyring.gpg
{
	echo "deb [arch=$arch,amd64 signed-by=$key] $main $suite main"
	[ -z "$security" ] || echo "deb [arch=$arch,amd64 signed-by=$key] $security $suite-security main"
} >"$work/sources.list"

apt() {
	tool=$1
	shift
	"$tool" -o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=$arch \
		-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::Etc::PreferencesParts=- \
		-o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Debug::NoLocking=true "$@"
}
apt apt-get -qq update
image=$(apt apt-cache depends linux-image-arm64:$arch | sed -n 's/.*Depends: \(linux-image-[^:]*\).*/\1/p' | head -n 1)
[ -n "$image" ] || {
	echo "kernel.sh: Debian's linux-image-arm64 names no kernel: apt's lists may be damaged" >&2
	exit 1
}
release=${image#linux-image-}
abi=${release%-$arch}
series=$(echo "$release" | cut -d. -f1,2)
(cd "$work/deb" && apt apt-get -qq download "$image:$arch" "linux-headers-$release:$arch" "linux-headers-$abi-common" \
	"linux-kbuild-$series" "linux-source-$series")

# The kernel and its modules.
mkdir -p "$work/root" "$work/headers"
dpkg-deb -x "$work"/deb/"$image"_*.deb "$work/root"
[ -f "$work/root/lib/modules/$release/modules.dep.bin" ] || PATH=$PATH:/sbin:/usr/sbin depmod -b "$work/root" "$release"

# The driver, from the very source of this kernel. The headers' makefiles name their installed places: say ours instead.
for d in "$work"/deb/linux-headers-*.deb "$work"/deb/linux-kbuild-*.deb; do dpkg-deb -x "$d" "$work/headers"; done
build="$work/headers/usr/src/linux-headers-$release"
common="$work/headers/usr/src/linux-headers-$abi-common"
for f in "$build/Makefile" "$build/.kernelvariables"; do
	[ ! -f "$f" ] || sed -i "s#/usr/src/linux-headers-$abi-common#$common#g" "$f"
done
for d in "$build" "$common"; do
	for l in scripts tools; do
		[ ! -L "$d/$l" ] || ln -sfn "$work/headers/usr/lib/linux-kbuild-$series/$l" "$d/$l"
	done
done
tis="$work/tpm_tis"
mkdir -p "$tis"
s=linux-source-$series
# What is wanted lies early in a long archive: the cut pipe is no error.
dpkg-deb --fsys-tarfile "$work"/deb/"$s"_*.deb 2>/dev/null | tar -xO "./usr/src/$s.tar.xz" |
	tar -xJf - -C "$tis" --strip-components=4 --occurrence=1 "$s/drivers/char/tpm/tpm_tis.c" "$s/drivers/char/tpm/tpm_tis_core.h" "$s/drivers/char/tpm/tpm.h"
echo 'obj-m := tpm_tis.o' >"$tis/Makefile"
make -s -C "$build" M="$tis" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc-12 modules

rm -rf "$dir/modules"
mkdir -p "$dir/modules"
for m in $wanted; do
	PATH=$PATH:/sbin:/usr/sbin modprobe -d "$work/root" -S "$release" --show-depends "$m" | awk '$1 == "insmod" { print $2 }'
done >"$work/needed"
echo "$tis/tpm_tis.ko" >>"$work/needed"
while read -r k; do
	b=$(basename "$k")
	[ -f "$dir/modules/$b" ] || {
		cp "$k" "$dir/modules/$b"
		echo "$b" >>"$dir/modules/order"
	}
done <"$work/needed"
cp "$work/root/boot/vmlinuz-$release" "$dir/vmlinuz"
echo "$release $(dpkg-deb -f "$work"/deb/"$image"_*.deb Version)" >"$dir/version"
rm -rf "$work"
echo "$stamp" >"$dir/stamp"
