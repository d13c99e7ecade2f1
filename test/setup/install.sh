#!/bin/sh
# Installs what the tests need from Debian: everything in one apt-get, only what is missing, never two at once.
# Usage: install.sh [--check | --dry-run | --list]
#   --check    exit 0 if nothing is missing, 1 otherwise; changes nothing
#   --dry-run  print the commands that would run
#   --list     print the package names
# Needs only a shell and dpkg when everything is there (well under a second), root or sudo when it is not.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
list="${ROBOWARDEN_APT_LIST:-$here/apt.txt}"
lock="${ROBOWARDEN_APT_LOCK:-${TMPDIR:-/tmp}/robowarden-apt.lock}"
mode="${1:-install}"

wanted() {
	sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$list"
}

# missing prints the wanted packages that are not fully installed. One dpkg-query answers for all of them; it exits
# with 1 when it does not know a name, which is just an answer here.
missing() {
	have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $(wanted) 2>/dev/null | sed -n 's/^installed //p') || true
	for p in $(wanted); do
		printf '%s\n' "$have" | grep -qxF -- "$p" || printf '%s\n' "$p"
	done
}

as_root() {
	if [ "$mode" = --dry-run ]; then
		echo "+ $*"
	elif [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo -n "$@" || {
			echo "install.sh: sudo refused: run '$0' once as root" >&2
			exit 1
		}
	else
		echo "install.sh: missing packages and neither root nor sudo: run '$0' once as root" >&2
		exit 1
	fi
}

# installable is true when apt's lists know every missing package, so that no update is needed.
installable() {
	for p in $1; do
		[ -n "$(apt-cache policy "$p" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v '^(none)$')" ] || return 1
	done
}

case "$mode" in
--list)
	wanted
	exit 0
	;;
--check)
	m=$(missing)
	[ -z "$m" ] && exit 0
	echo "install.sh: missing:" $m >&2
	exit 1
	;;
install | --dry-run) ;;
*)
	echo "install.sh: unknown option '$mode': expected --check, --dry-run, --list or nothing" >&2
	exit 2
	;;
esac

[ "$mode" = --dry-run ] || [ -n "${ROBOWARDEN_APT_LIST:-}" ] || "$here/axe.sh" || echo "install.sh: without axe-core the pages' accessibility is not checked" >&2

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "install.sh: no dpkg-query here: expected Debian 12; install the equivalents of these by hand:" $(wanted) >&2
	exit 1
fi
[ -n "$(missing)" ] || exit 0

# A second caller waits here, and then finds nothing left to do.
exec 9>"$lock"
flock 9
m=$(missing)
[ -n "$m" ] || exit 0
echo "install.sh: installing" $(printf '%s\n' "$m" | wc -l) "packages:" $m
installable "$m" || as_root apt-get update
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $m
[ "$mode" = --dry-run ] || [ -z "$(missing)" ] || {
	echo "install.sh: apt-get ended but these are still missing:" $(missing) >&2
	exit 1
}
