# What all parts share: processes, waiting, words.

# A part that does not serve by then has failed. Cassandra needs the longest: 4 s here, more on a busy machine.
ready_deadline_s=90
# A part that does not stop when told to is killed after this.
stop_deadline_s=20

say() { echo "stack: $*" >&2; }
die() { say "$*" && exit 1; }

pid() {
    [[ -s "$run/$1.pid" ]] && cat "$run/$1.pid"
}

# The letter of a process's state; empty when there is none.
letter() {
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f1
}

# up, paused or down. A zombie, or another process with the same number, is down.
state() {
    local pid
    pid="$(pid "$1")" || { echo down && return; }
    grep -qsF "$run" <({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null) || { echo down && return; }
    case "$(letter "$pid")" in
    T) echo paused ;;
    Z | "") echo down ;;
    *) echo up ;;
    esac
}

resident_kib() {
    awk '/^VmRSS/ { print $2 }' "/proc/$(pid "$1")/status"
}

# spawn NAME COMMAND...: in a session of its own, so that it outlives this shell and its Ctrl-C.
spawn() {
    local name="$1"
    shift
    setsid nohup "$@" >>"$run/$name.log" 2>&1 </dev/null &
    echo $! >"$run/$name.pid"
}

# yield_to_others NAME NICE: it gets fewer turns than what else runs. A kernel that gives each session its share (autogroup)
# looks at the niceness of the session, not at that of its processes.
yield_to_others() {
    local pid
    pid="$(pid "$1")"
    renice -n "$2" -g "$pid" >/dev/null || say "$1 runs at the same priority as all else"
    { echo "$2" >"/proc/$pid/autogroup"; } 2>/dev/null || true
}

wait_ready() {
    local deadline=$((SECONDS + ready_deadline_s))
    until call ready "$1"; do
        # Not its state: on a busy machine it may not have become its program yet, and that counts as down.
        [[ "$(letter "$(pid "$1")")" == [!Z] ]] || die "$1 ended while starting; 'stack logs $1' says why"
        ((SECONDS < deadline)) || die "$1 does not serve after $ready_deadline_s s; 'stack logs $1' may say why"
        sleep 0.1
    done
}

wait_gone() {
    local deadline=$((SECONDS + stop_deadline_s))
    until [[ "$(state "$1")" == down ]]; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

terminate() {
    [[ "$(state "$1")" != down ]] || return 0
    kill -CONT "$(pid "$1")" 2>/dev/null || true
    kill -TERM "$(pid "$1")" 2>/dev/null || true
    wait_gone "$1" || { kill -KILL "$(pid "$1")" && wait_gone "$1"; }
}

# True when somebody accepts connections there.
listens() {
    (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

environment() {
    cat <<TEXT
CHATFLEET_KAFKA=$(kafka_address)
CHATFLEET_REDIS_REGISTRY=redis://$(redis_address redis-registry)
CHATFLEET_REDIS_PRESENCE=redis://$(redis_address redis-presence)
CHATFLEET_REDIS_DEDUP=redis://$(redis_address redis-dedup)
CHATFLEET_REDIS_SERVER=$parts/debian/usr/bin/redis-server
CHATFLEET_REDIS_LIBRARIES=$parts/debian/usr/lib/x86_64-linux-gnu
CHATFLEET_MYSQL=mysql://chat:chat@$(mariadb_address)/chat
CHATFLEET_CASSANDRA=$(cassandra_address cassandra-1)
CHATFLEET_CASSANDRA_REPLICATION=$(cassandra_nodes)
TEXT
}
