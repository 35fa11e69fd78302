# MariaDB, as MySQL. Database chat, user chat, password chat.

mariadb_port=13306

mariadb_address() { echo "127.0.0.1:$mariadb_port"; }

mariadb_tree() {
    local root="$parts/debian/usr"
    echo --no-defaults --user="$(id -un)" --basedir="$root" --datadir="$run/mariadb" \
        --lc-messages-dir="$root/share/mysql" --plugin-dir="$root/lib/mysql/plugin"
}

mariadb_with_libraries() {
    LD_LIBRARY_PATH="$parts/debian/usr/lib/x86_64-linux-gnu" "$@"
}

mariadb_start() {
    if [[ ! -d "$run/mariadb/mysql" ]]; then
        mkdir -p "$run/mariadb"
        mariadb_with_libraries "$parts/debian/usr/bin/mariadb-install-db" $(mariadb_tree) \
            --auth-root-authentication-method=normal --skip-test-db >>"$run/mariadb.log" 2>&1 ||
            die "mariadb-install-db failed; 'stack logs mariadb' says why"
        cat >"$run/mariadb.init.sql" <<'SQL'
CREATE DATABASE IF NOT EXISTS chat CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE USER IF NOT EXISTS 'chat'@'%' IDENTIFIED BY 'chat';
CREATE USER IF NOT EXISTS 'chat'@'localhost' IDENTIFIED BY 'chat';
GRANT ALL ON *.* TO 'chat'@'%';
GRANT ALL ON *.* TO 'chat'@'localhost';
SQL
    fi
    spawn mariadb env LD_LIBRARY_PATH="$parts/debian/usr/lib/x86_64-linux-gnu" "$parts/debian/usr/sbin/mariadbd" \
        $(mariadb_tree) --bind-address=127.0.0.1 --port="$mariadb_port" --socket="$run/mariadb.sock" \
        --init-file="$run/mariadb.init.sql" --innodb-buffer-pool-size=64M --max-connections=200 --skip-name-resolve
}

mariadb_ready() {
    mariadb_sql 'select 1' >/dev/null 2>&1
}

mariadb_sql() {
    mariadb_with_libraries timeout 10 "$parts/debian/usr/bin/mariadb" --no-defaults --skip-ssl -h 127.0.0.1 -P "$mariadb_port" \
        -uchat -pchat -e "$1" chat
}
