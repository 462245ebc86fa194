# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154  # part of tools/setup, whose variables it uses
#
# Where the pinned wolfSSL cannot be had, because its release page cannot be reached and Debian's sid has moved on: the
# newest one of sid that is not older. There is no hash for it, apt alone vouches for it. Patches that no longer
# apply are left out, and the tests of what uses it, which show what each patch mends, decide whether it may be used.

newer_notes=$source_folder/ringpost-newer  # of what is unpacked: "version V", "without PATCH", "passed"
newer_value() { sed -n "s/^$1 //p" "$newer_notes"; }

# Prints "VERSION UPSTREAM" of the newest package that is at least the pinned version, and no prerelease of it.
newest_of_sid() {
  local version upstream best='' best_upstream=''
  while read -r version; do
    upstream=${version#*:}
    upstream=${upstream%-*}
    if [[ $upstream == *~* ]] || dpkg --compare-versions "$upstream" lt "$upstream_version"; then continue; fi
    if [ -z "$best" ] || dpkg --compare-versions "$version" gt "$best"; then
      best=$version best_upstream=$upstream
    fi
  done < <(apt-cache "${apt[@]}" showsrc wolfssl | sed -n 's/^Version: *//p')
  [ -z "$best" ] || echo "$best $best_upstream"
}

download_newer() {
  local folder apt version upstream orig
  read_sid || return 1
  read -r version upstream < <(newest_of_sid) || {
    echo "Debian's sid archive has no wolfSSL that is at least $upstream_version"
    return 1
  }
  echo "wolfSSL $upstream"
  (cd "$folder/download" && apt-get "${apt[@]}" source --download-only --tar-only "wolfssl=$version") || return 1
  for orig in "$folder/download/wolfssl_$upstream".orig.tar.*; do
    if [[ $orig != *.asc ]]; then
      unpack_newer "$upstream" "$orig"
      return
    fi
  done
  echo "there is no tar file of wolfSSL $upstream"
  return 1
}

# unpack_newer VERSION TARBALL: as meson would unpack and patch the pinned one, and in its place.
unpack_newer() {
  local part=$source_folder.part name patch notes
  rm -rf "$part"
  mkdir -p "$part"
  tar -x -f "$2" -C "$part" --strip-components=1 --no-same-owner || return 1
  cp -R "$root/subprojects/packagefiles/$(wrap_value patch_directory)/." "$part" || return 1
  sed -i "s/^\(project('wolfssl'.*version: '\)[^']*/\1$1/" "$part/meson.build"
  notes="version $1"
  for name in $(wrap_value diff_files | tr ',' ' '); do
    patch=$root/subprojects/packagefiles/$name
    if patch --directory="$part" --strip=1 --force --dry-run --input="$patch" &&
      patch --directory="$part" --strip=1 --force --no-backup-if-mismatch --silent --input="$patch"; then
      continue
    fi
    notes+=$'\n'"without $name"
  done
  printf '%s\n' "$notes" >"$part/${newer_notes##*/}"
  rm -rf "$source_folder" "$folder"
  mv "$part" "$source_folder"
}

use_newer_wolfssl() {
  say "Debian's sid archive may have a newer one, which is not the one that ringpost was tested with"
  try_step "looking for a newer wolfSSL in Debian's sid archive" "$log" download_newer
}

newer_tests=(tests/crypto/crypto_test tests/x509/x509_test tests/tls/tls_test)
run_newer_tests() {
  local test
  for test in "${newer_tests[@]}"; do "$build/$test" --gtest_brief=1 || return 1; done
}

# Said at every run. The tests run once.
judge_newer_wolfssl() {
  [ -f "$newer_notes" ] || return 0
  local version name
  version=$(newer_value version)
  say "${bold}WARNING: this is wolfSSL $version from Debian's sid, not the pinned $upstream_version, which could not be had.$plain"
  for name in $(newer_value without); do
    say "  $name does not apply to it; what that mends is said in subprojects/packagefiles/$name"
  done
  say "  To try for $upstream_version again: rm -r ${source_folder#"$root"/}"
  if grep -qx passed "$newer_notes"; then
    say "  The tests of ringpost's TLS passed with it."
    return 0
  fi
  run_step "building the tests of ringpost's TLS, which decide whether it may be used" "$log" \
    ninja -C "$build" "${newer_tests[@]}" ||
    fail "ringpost cannot be built with wolfSSL $version (see above and $log). Fetch $upstream_version by hand:
  $url
goes to
  $cache/$tarball
(sha256 $hash). Then rm -r ${source_folder#"$root"/}, and run $0 again."
  run_step "running them" "$log" run_newer_tests ||
    fail "wolfSSL $version does not do what ringpost needs: tests failed (see above; all of it is in $log). Do not use this build. Fetch $upstream_version by hand:
  $url
goes to
  $cache/$tarball
(sha256 $hash). Then rm -r ${source_folder#"$root"/}, and run $0 again."
  echo passed >>"$newer_notes"
}
