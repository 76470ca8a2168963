# What the scripts have in common that start what Dovetail runs on. Each says `make` (what is laid out once, with a line
# in `ports` for each server: its name, the port that clients know, others), `launch SERVER` (by `run`), `ready SERVER`,
# `environment`, and the signal that stops it; `serve "$@"` does the rest. What is said goes to standard error, since
# standard output is for `eval`.
set -euo pipefail

name="${0##*/}"
dev_folder="$(realpath -m "${DOVETAIL_DEV:-$HOME/.cache/dovetail/dev}")"
cache="${DOVETAIL_CACHE:-$HOME/.cache/dovetail}"
home="$dev_folder/$name"
place="$home"
soft=TERM

say() { printf 'dev/%s: %s\n' "$name" "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Whether somebody listens on a port of loopback.
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that nobody listens on and that is none of those named, below what the system hands out by itself.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    [[ " $* " == *" $port "* ]] || listening "$port" || { echo "$port" && return; }
  done
  die 'no free port between 20000 and 31999'
}

# Waits until a command succeeds: `wait_for SECONDS COMMAND..`.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.1
  done
}

# Secrets are made here and stay here.
random_word() { od -An -N 16 -t x1 /dev/urandom | tr -d ' \n'; }

# The servers that there are, or the one that is asked for.
servers() { awk -v one="${1:-}" 'one == "" || $1 == one { print $1 }' "$home/ports"; }

port_of() { awk -v server="$1" '$1 == server { print $2 }' "$home/ports"; }

# Runs a program as server `$1`. It and its children hold a lock on the file with its process id, which tells that they
# live more surely than the id.
run() {
  exec 8>"$home/$1.process"
  flock 8
  setsid "${@:2}" </dev/null >>"$home/$1.log" 2>&1 9>&- &
  echo $! >&8
  exec 8>&-
}

runs() { [ -e "$home/$1.process" ] && ! flock --nonblock "$home/$1.process" true; }

settled() { ready "$1" || ! runs "$1"; }

# Starts servers that do not run, and waits until they are ready.
start() {
  local server port
  for server in "$@"; do
    ! runs "$server" || continue
    for port in $(awk -v server="$server" '$1 == server { $1 = ""; print }' "$home/ports"); do
      ! listening "$port" || die "port $port, which clients know, is taken: stop who has it, or begin anew with \`dev/$name down --wipe\`"
    done
    [ ! -e "$home/$server.log" ] || mv "$home/$server.log" "$home/$server.log.before"
    launch "$server"
  done
  for server in "$@"; do
    wait_for 60 settled "$server" && runs "$server" || broken "$server"
  done
}

# Dies with the end of the log, since whoever called may delete the folder.
broken() {
  tail -n 30 "$home/$1.log" >&2 || true
  die "$1 does not start: $home/$1.log"
}

# Sends servers a signal, and waits until they and their children are gone: `end SIGNAL SERVER..`.
end() {
  local server processes
  for server in "${@:2}"; do
    ! runs "$server" || {
      processes="$(<"$home/$server.process")"
      [ "$1" != KILL ] || processes+=" $(ps -o pid= --ppid "$processes" || true)"
      # shellcheck disable=SC2086
      kill "-$1" $processes 2>/dev/null || true
    }
  done
  for server in "${@:2}"; do
    flock --timeout 30 "$home/$server.process" true || end KILL "$server"
  done
}

status() {
  local server code=0
  for server in "$@"; do
    if runs "$server"; then
      echo "$server runs on 127.0.0.1:$(port_of "$server"), process $(<"$home/$server.process"), log $home/$server.log"
    else
      echo "$server does not run" && code=3
    fi
  done
  return $code
}

# One call at a time: what is started must not keep descriptor 9.
serve() {
  local command="${1:-}" all one=''
  case "$command" in
    up | down | env | status) ;;
    start | stop | restart | kill) one="${2:-}" ;;
    *) sed '1d; /^#/!Q; s/^# \?//' "$0" >&2 && exit 2 ;;
  esac
  mkdir -p "$home"
  exec 9>"$dev_folder/$name.lock"
  flock --timeout 300 9 || die "another dev/$name has been running for minutes"
  if [ "$command" = up ]; then make "${@:2}"; fi
  [ -e "$home/ports" ] || [ "$command" = down ] || die "nothing is there in $home: dev/$name up"
  all="$(servers "$one" 2>/dev/null || true)"
  [ -n "$all" ] || [ "$command" = down ] || die "there is no server \`$one\`: dev/$name status names them"
  # shellcheck disable=SC2086
  case "$command" in
    up) start $all && environment ;;
    env) environment ;;
    down)
      end "$soft" $all
      [ "${2:-}" != --wipe ] || rm -rf "$place" "$home"
      ;;
    status) status $all ;;
    start) start $all ;;
    stop) end "$soft" $all ;;
    restart) end "$soft" $all && start $all ;;
    kill) end KILL $all ;;
  esac
}
