# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034  # sourced; not every tool uses every variable
#
# What the tools share: where things are, how they speak, how they show progress. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${RINGPOST_BUILD:-$root/build}

# Where the build puts the programs.
ringpost=$build/ringpost
ringpost_sink=$build/ringpost-sink
ringpost_load=$build/ringpost-load

if [ -t 1 ]; then
  bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m' rewrite=$'\r\e[K'
else
  bold='' faint='' plain='' rewrite=''
fi

say() { printf '%s\n' "$*"; }
title() { printf '%s\n' "$bold== $*$plain"; }

# A sentence for the person at the terminal, then exit code 1.
fail() {
  printf '%s\n' "${0##*/}: $*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root and there is no sudo; run it again as root: $*"
  fi
}

# run_step "what" LOG command...: runs the command with its output in LOG and shows that it is alive: on a
# terminal the last line of the log, elsewhere a sign every 20 s. Returns the command's exit code; if that
# is not 0, the end of the log is printed; of try_step, which has an alternative, only its last line.
run_step() { step 40 "FAILED" "$@"; }
try_step() { step 1 "did not work" "$@"; }
step() {
  local tail_lines=$1 failed=$2
  shift 2
  local what=$1 log=$2 start=$SECONDS code=0 pid beat=20 last
  shift 2
  mkdir -p "$(dirname "$log")"
  : >"$log"
  if [ ! -t 1 ]; then say "$what ..."; fi
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # shellcheck disable=SC2064  # this step's pid, now
  trap "kill $pid 2>/dev/null; exit 130" INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    if [ -t 1 ]; then
      last=$(tail -c 400 "$log" | tr '\r' '\n' | tail -n 1 | tr -cd '[:print:]' | cut -c 1-60)
      printf '%s' "$rewrite$what ... $((SECONDS - start)) s $faint$last$plain"
    elif [ $((SECONDS - start)) -ge "$beat" ]; then
      say "  $what: still running after $((SECONDS - start)) s"
      beat=$((beat + 20))
    fi
    sleep 0.2
  done
  wait "$pid" || code=$?
  trap - INT TERM
  if [ "$code" = 0 ]; then
    printf '%s\n' "$rewrite$what: done in $((SECONDS - start)) s"
  else
    printf '%s\n' "$rewrite$what: $failed after $((SECONDS - start)) s; the end of $log:"
    tail -n "$tail_lines" "$log" | sed 's/^/  | /'
  fi
  return "$code"
}

# Whether FOLDER was configured for this tree, where it is now. Meson remembers both places: in a tree that was moved
# or copied, the build would look for the old one, or find it and build that.
build_is_ours() {
  [ -f "$1/build.ninja" ] &&
    [ "$(sed -n 's/.*"source": "\([^"]*\)".*/\1/p' "$1/meson-info/meson-info.json" 2>/dev/null)" = "$(cd "$root" && pwd -P)" ] &&
    [ "$(sed -n 's/.*"build": "\([^"]*\)".*/\1/p' "$1/meson-info/meson-info.json")" = "$(cd "$1" && pwd -P)" ]
}

# Whether something listens on 127.0.0.1:PORT.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# wait_for_line PID FILE TEXT SECONDS: until a line of FILE contains TEXT. 1 if the process is gone or the
# time is up.
wait_for_line() {
  local pid=$1 file=$2 text=$3 tries=$(($4 * 20))
  while ! grep -qF -- "$text" "$file" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || return 1
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}
