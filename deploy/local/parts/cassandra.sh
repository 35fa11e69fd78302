# One Cassandra node, or a ring of three on 127.0.0.1, .2 and .3. Rings of one and of three have data of their own.

cassandra_port=19042
cassandra_storage_port=17000
cassandra_jmx_port=17199
cassandra_nice="${CHATFLEET_CASSANDRA_NICE:-0}"

cassandra_nodes() { cat "$run/cassandra-nodes" 2>/dev/null || echo 1; }

cassandra_host() { echo "127.0.0.${1#cassandra-}"; }

cassandra_address() { echo "$(cassandra_host "$1"):$cassandra_port"; }

cassandra_start() {
    local name="$1" n="${1#cassandra-}" nodes tokens dir seeds
    nodes="$(cassandra_nodes)" dir="$run/$1-of-$(cassandra_nodes)"
    seeds=127.0.0.1
    [[ "$nodes" == 1 ]] || seeds=127.0.0.1,127.0.0.2,127.0.0.3
    tokens=(-9223372036854775808 -3074457345618258603 3074457345618258602)
    mkdir -p "$dir/conf"
    sed -e "s|@DIR@|$dir|g" -e "s|@HOST@|$(cassandra_host "$name")|g" -e "s|@TOKEN@|${tokens[n - 1]}|" \
        -e "s|@SEEDS@|$seeds|" -e "s|@PORT@|$cassandra_port|" -e "s|@STORAGE@|$cassandra_storage_port|" \
        "$here/conf/cassandra.yaml" >"$dir/conf/cassandra.yaml"
    : >"$run/$name.log"
    spawn "$name" java "@$here/conf/cassandra-jvm17.args" -Xms512m -Xmx512m \
        -javaagent:"$(echo "$parts"/cassandra/lib/jamm-*.jar)" \
        -Dcassandra.config="file://$dir/conf/cassandra.yaml" -Dcassandra.storagedir="$dir" \
        -Dlogback.configurationFile="file:$here/conf/cassandra-logback.xml" \
        -Dcassandra.jmx.local.port=$((cassandra_jmx_port + n)) -Dcassandra-foreground=yes \
        -Dcassandra.ring_delay_ms=1000 -Dcassandra.skip_wait_for_gossip_to_settle=0 \
        -cp "$parts/cassandra/lib/*" org.apache.cassandra.service.CassandraDaemon
    # The log has what it stores, so clients rarely wait for it. On one machine it takes turns from what they do wait for.
    ((cassandra_nice == 0)) || yield_to_others "$name" "$cassandra_nice"
}

cassandra_ready() {
    listens "$(cassandra_host "$1")" "$cassandra_port"
}
