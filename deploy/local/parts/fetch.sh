# Downloads, once, into $parts. Versions are pinned in debian.versions and pom/; what came is checked against
# checksums.sha256 before it is used.

fetch() {
    mkdir -p "$parts"
    exec 9>"$parts/.lock"
    flock 9
    [[ "$(dpkg --print-architecture 2>/dev/null)" == amd64 ]] || die "only Debian on amd64 is known to this script; elsewhere use compose.yaml"
    is_current debian debian.versions || fetch_debian
    is_current kafka pom/kafka.xml || fetch_jars kafka
    is_current cassandra pom/cassandra.xml || fetch_jars cassandra
    exec 9>&-
}

# What was fetched is what this list asks for today.
is_current() {
    cmp -s "$here/$2" "$parts/$1/.done"
}

fetch_debian() {
    say "fetching Redis and MariaDB"
    local debs="$parts/debs" specs
    rm -rf "$debs" "$parts/debian" && mkdir -p "$debs" "$parts/debian"
    mapfile -t specs < <(grep -v '^#' "$here/debian.versions")
    (
        cd "$debs"
        download() { apt-get -o APT::Sandbox::User=root download -qq "$@" >/dev/null; }
        # A bare machine has no package lists yet.
        download "${specs[@]}" 2>/dev/null || { apt-get update -qq && download "${specs[@]}" 2>/dev/null; } || {
            # A security update took the pinned version's place. Its signature is checked by apt all the same.
            say "pinned packages are gone from the mirror: taking the current ones, unchecked by checksums.sha256"
            download "${specs[@]%%=*}" && touch unpinned
        }
    ) || die "cannot download Debian packages; is there a mirror? see 'apt-get update'"
    [[ -e "$debs/unpinned" ]] || check "$debs" '\.deb$'
    local deb
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$parts/debian"; done
    cp "$here/debian.versions" "$parts/debian/.done"
}

fetch_jars() {
    say "fetching the jars of $1"
    command -v java >/dev/null || die "java is missing: install a JRE 17 (openjdk-17-jre-headless)"
    command -v mvn >/dev/null || die "mvn is missing: install maven"
    rm -rf "${parts:?}/$1"
    mvn -B -q -f "$here/pom/$1.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$parts/$1/lib" || die "cannot download the jars of $1 from Maven Central"
    check "$parts/$1/lib" '\.jar$'
    cp "$here/pom/$1.xml" "$parts/$1/.done"
}

# check DIRECTORY PATTERN: every file there that matches is listed, and is what the list says.
check() {
    local file sum
    for file in "$1"/*; do
        [[ "$file" =~ $2 ]] || continue
        sum="$(sha256sum "$file" | cut -d' ' -f1)"
        grep -qxF "$sum  $(basename "$file")" "$here/checksums.sha256" ||
            die "$(basename "$file") is not what checksums.sha256 says (it has $sum); remove $1 and try again"
    done
}
