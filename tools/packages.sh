# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Packages that tests use without installing them: unpacked into folders of .cache, from where a test lays them
# on top of /usr, /etc and /var in mounts of its own. Sourced, after lib.sh.

# What apt would install for these packages: themselves, and what of their dependencies is not installed.
packages_of() { apt-get --simulate --no-install-recommends install "$@" | sed -n 's/^Inst \([^ ]*\) .*/\1/p'; }

# unpack_packages FOLDER PACKAGE...: FOLDER is complete, or is not there.
unpack_packages() {
  local folder=$1 part=$1.part names name deb
  shift
  rm -rf "$part"
  mkdir -p "$part/debs"
  # With these in place a file of /lib lands in usr/lib, where the system has it as well.
  mkdir -p "$part/usr/bin" "$part/usr/sbin" "$part/usr/lib"
  ln -s usr/bin usr/sbin usr/lib "$part"
  mapfile -t names < <(packages_of "$@")
  # One that is installed already is unpacked all the same: what it brings lies in one place then.
  for name in "$@"; do
    case " ${names[*]} " in *" $name "*) ;; *) names+=("$name") ;; esac
  done
  (cd "$part/debs" && apt-get -o APT::Sandbox::User=root download "${names[@]}") || return 1
  for deb in "$part"/debs/*.deb; do
    echo "unpacking ${deb##*/}"
    # Not dpkg-deb -x: it would put a folder in place of the symbolic link.
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$part" --keep-directory-symlink --no-same-owner \
      --exclude=./usr/share/{doc,man,fonts,locale} || return 1
  done
  (cd "$part/debs" && ls) >"$part/.complete"
  rm -rf "$part/debs" "${folder:?}"
  mv "$part" "$folder"
}

# install_node_packages FOLDER SOURCE: what SOURCE/package-lock.json pins, in FOLDER/usr/lib/NAME/node_modules,
# NAME being that of package.json. No script of a package is run.
install_node_packages() {
  local folder=$1 source=$2 part=$1.part inside name
  name=$(sed -n 's/^  "name": "\(.*\)",$/\1/p' "$source/package.json")
  inside=$part/usr/lib/$name
  rm -rf "$part"
  mkdir -p "$inside"
  cp "$source/package.json" "$source/package-lock.json" "$inside"
  # Node.js has a list of authorities of its own; behind a proxy that reads along, the machine's count.
  (cd "$inside" && NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt} \
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || return 1
  cp "$source/package-lock.json" "$part/.complete"
  rm -rf "${folder:?}"
  mv "$part" "$folder"
}
