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
    umount --lazy "$mounted" # processes that the tests left end with the namespace, after this
  done
  if [ -z "${PYNN_ROOTS:-}" ]; then rm -rf --one-file-system "$roots"; fi
}
trap leave EXIT
trap 'exit 130' INT TERM # the first process of a namespace ignores what it does not ask for
step() { printf '\n=== %s\n' "$*"; }

mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -1; }

# debian NAME SUITE PACKAGE...: the system $roots/NAME, of this machine's architecture, with these packages, and with what
# this machine knows of the network: the mirror in apt's configuration, name servers, certificates, settings of pip.
debian() {
  local root=$roots/$1
  step "Debian $2"
  if [ ! -e "$root.made" ]; then
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase "$2" "$root" "$(mirror)" sid # sid's script serves suites newer than this debootstrap
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/mirror" # which may be a copy of some weeks
    touch "$root.made"
  fi
  mount_system "$root"
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  inside "$1" apt-get update
  inside "$1" apt-get install -y --no-install-recommends ca-certificates "${@:3}"
  inside "$1" apt-get clean
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi
}

# foreign_debian NAME SUITE ARCHITECTURE PACKAGE...: the same of another architecture. Packages are unpacked, not
# configured: nothing of the system has to run for that, and Python does without.
foreign_debian() {
  local root=$roots/$1 packages deb
  step "Debian $2 for $3"
  if [ ! -e "$root.made" ]; then
    rm -rf --one-file-system "$root"
    packages=$(IFS=,; echo "${*:4}")
    debootstrap --foreign --variant=minbase --arch="$3" --include="$packages" "$2" "$root" "$(mirror)"
    for deb in "$root"/var/cache/apt/archives/*.deb; do
      dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink
    done
    rm "$root"/var/cache/apt/archives/*.deb
    touch "$root.made"
  fi
  mount_system "$root"
}

mount_system() {
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount -t tmpfs tmpfs "$1/tmp" # of this run alone
}

# inside NAME COMMAND...: runs it in the system, as root, in /.
inside() {
  env -u TMPDIR -u PIP_FIND_LINKS HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    DEBIAN_FRONTEND=noninteractive chroot "$roots/$1" "${@:2}"
}

# What the build needs, for an environment in which pip shall not make one of its own.
build_requires() {
  python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])'
  echo cmake ninja
}

# copy_source NAME FOLDER: the project's files, as they are in the working tree, to an empty folder of the system.
copy_source() {
  rm -rf "${roots:?}/$1/$2"
  mkdir "$roots/$1/$2"
  git ls-files -z --deduplicate --cached --others --exclude-standard | tar -c --null --verbatim-files-from -T - |
    tar -x --no-same-owner -C "$roots/$1/$2"
}
