# shellcheck shell=bash
# Sourced: where on this machine's loopback the demo can be reached.

# free_port WANTED - the first port from WANTED on that is free.
free_port() {
  local port=$1
  while ss --no-header --listening --tcp --numeric "sport = :$port" | grep --quiet .; do
    port=$((port + 1))
  done
  printf '%s' "$port"
}
