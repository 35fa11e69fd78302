# One Kafka broker that is its own controller.

kafka_port=19092
kafka_controller_port=19093

kafka_address() { echo "127.0.0.1:$kafka_port"; }

kafka_java() {
    echo java -Xms384m -Xmx384m -XX:+UseG1GC -Dlog4j2.configurationFile="file:$here/conf/kafka-log4j2.xml" -cp "$parts/kafka/lib/*"
}

kafka_start() {
    local config="$run/kafka.properties" java
    mkdir -p "$run/kafka"
    sed -e "s|@DATA@|$run/kafka|" -e "s|@PORT@|$kafka_port|g" -e "s|@CONTROLLER@|$kafka_controller_port|g" \
        "$here/conf/kafka.properties" >"$config"
    read -ra java <<<"$(set -f && kafka_java)"
    if [[ ! -e "$run/kafka/meta.properties" ]]; then
        "${java[@]}" kafka.tools.StorageTool format -c "$config" -t "$(kafka_cluster_id)" >>"$run/kafka.log" 2>&1 ||
            die "kafka's storage cannot be formatted; 'stack logs kafka' says why"
    fi
    : >"$run/kafka.log"
    spawn kafka "${java[@]}" kafka.Kafka "$config"
}

# 16 bytes as URL-safe base64. The first six bits are none: an id that begins with a dash is taken for a flag.
kafka_cluster_id() {
    head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=' | sed 's/^./A/'
}

kafka_ready() {
    listens 127.0.0.1 "$kafka_port" && grep -q 'Kafka Server started' "$run/kafka.log"
}

# Wanting more replicas in sync than there are brokers makes the broker refuse what is sent with acks=all.
kafka_refuse_writes() {
    local replicas java
    case "$1" in
    on) replicas=2 ;;
    off) replicas=1 ;;
    *) die "refuse-writes on, or off" ;;
    esac
    read -ra java <<<"$(set -f && kafka_java)"
    timeout 60 "${java[@]/-Xm?384m/-Xmx128m}" org.apache.kafka.tools.ConfigCommand --bootstrap-server "$(kafka_address)" \
        --alter --entity-type brokers --entity-default --add-config "min.insync.replicas=$replicas" >/dev/null
}
