# Three Redis servers: the registry, presence, and dedup with the recent tails. A loss of each is another failure.

declare -A redis_port=([redis-registry]=16379 [redis-presence]=16380 [redis-dedup]=16381)

redis_address() { echo "127.0.0.1:${redis_port[$1]}"; }

redis_start() {
    mkdir -p "$run/$1"
    # Nothing on disk: what Redis holds can be lost at any time, and a restart here is that loss.
    spawn "$1" env LD_LIBRARY_PATH="$parts/debian/usr/lib/x86_64-linux-gnu" "$parts/debian/usr/bin/redis-server" \
        --port "${redis_port[$1]}" --bind 127.0.0.1 --dir "$run/$1" --save '' --appendonly no --daemonize no --set-proc-title no
}

redis_ready() {
    [[ "$(redis_cli "$1" ping 2>/dev/null)" == PONG ]]
}

redis_cli() {
    LD_LIBRARY_PATH="$parts/debian/usr/lib/x86_64-linux-gnu" timeout 10 \
        "$parts/debian/usr/bin/redis-cli" -p "${redis_port[$1]}" "${@:2}"
}
