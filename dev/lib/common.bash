# Shared by the scripts that start what Dovetail runs on. Standard output is for `eval`: everything said goes to
# standard error.

# Where the servers keep their data, ports and logs.
dev_folder="${DOVETAIL_DEV:-$HOME/.cache/dovetail/dev}"

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# Whether somebody listens on a port of loopback.
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that nobody listens on, below those that the system hands out by itself.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    listening "$port" || { echo "$port" && return; }
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

# Whether the process lives and is not a zombie of its parent.
lives() { [ -n "${1:-}" ] && [[ "$(ps -o stat= -p "$1" 2>/dev/null)" =~ ^[^Z] ]]; }

gone() { ! lives "$1"; }

# Secrets are made here and stay here.
random_word() { od -An -N 16 -t x1 /dev/urandom | tr -d ' \n'; }

# Holds off others that run the same script, until this one ends. What it starts must not keep descriptor 9.
one_at_a_time() {
  mkdir -p "$dev_folder"
  exec 9>"$dev_folder/$1.lock"
  flock --timeout 300 9 || die "another dev/$1 has been running for minutes"
}
