# Another Debian in a folder, for scripts that source this file and run as root. Needs debootstrap.
# PYNN_ROOTS names a folder in which the systems are kept for the next run; without it they are deleted at the end.
if [ "$(id -u)" != 0 ]; then
  echo "$0: debootstrap and chroot need root" >&2
  exit 1
fi
command -v debootstrap >/dev/null || { apt-get update && apt-get install -y --no-install-recommends debootstrap; }
# Mounts and processes of their own, which end with the script however it ends.
if [ -z "${PYNN_IN_NAMESPACE:-}" ]; then
  PYNN_IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child "$0" "$@"
fi
if [ -n "${PYNN_ROOTS:-}" ]; then
  mkdir -p "$PYNN_ROOTS"
  roots=$(cd "$PYNN_ROOTS" && pwd)
else
  roots=$(mktemp -d)
fi
leave() {
  local mounted
  for mounted in $(awk -v roots="$roots/" 'index($2, roots) == 1 { print $2 }' /proc/self/mounts | sort -r); do
    umount "$mounted"
  done
  if [ -z "${PYNN_ROOTS:-}" ]; then rm -rf --one-file-system "$roots"; fi
}
trap leave EXIT
step() { printf '\n=== %s\n' "$*"; }

# debian NAME SUITE ARCHITECTURE PACKAGE...: the system $roots/NAME with these packages, and with what this machine knows
# of the network: the mirror in apt's configuration, name servers, certificates, settings of pip.
debian() {
  local root=$roots/$1 mirror
  step "Debian $2 for $3"
  if [ ! -e "$root.made" ]; then
    rm -rf --one-file-system "$root"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -1)
    debootstrap --variant=minbase --arch="$3" "$2" "$root" "$mirror"
    touch "$root.made"
  fi
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/tmp" # of this run alone
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  inside "$1" apt-get update
  inside "$1" apt-get install -y --no-install-recommends ca-certificates "${@:4}"
  inside "$1" apt-get clean
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi
}

# inside NAME COMMAND...: runs it in the system, as root, in /.
inside() {
  env -u TMPDIR -u PIP_FIND_LINKS HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    DEBIAN_FRONTEND=noninteractive chroot "$roots/$1" "${@:2}"
}

# copy_source NAME FOLDER: the project's files, as they are in the working tree, to an empty folder of the system.
copy_source() {
  rm -rf "${roots:?}/$1/$2"
  mkdir "$roots/$1/$2"
  git ls-files -z --deduplicate --cached --others --exclude-standard | tar -c --null --verbatim-files-from -T - |
    tar -x --no-same-owner -C "$roots/$1/$2"
}
