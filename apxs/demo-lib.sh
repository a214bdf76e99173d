# What apxs/demo and apxs/demo-cluster share: httpds of their own under a directory, each found and stopped by its pid, and a
# browser. To be sourced by them, with `root` set. `fail` is theirs.
# shellcheck shell=bash disable=SC2034,SC2154

apxs=${APXS:-apxs}

say() { printf '%s\n' "$@"; }

# Waits up to 15 seconds until a command succeeds.
until_true() {
    for _ in $(seq 300); do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    return 1
}

# ---- an httpd, named by its server root ---------------------------------------------------------------------------

pid() { cat "$1/run/httpd.pid" 2>/dev/null || true; }
running() { local pid; pid=$(pid "$1"); [ -n "$pid" ] && grep -qsF "$1/httpd.conf" "/proc/$pid/cmdline"; }
stopped() { ! running "$1"; }
stop() {
    if running "$1"; then kill -TERM "$(pid "$1")" && until_true stopped "$1"; fi
}
generations() { grep -c 'resuming normal operations' "$1/error.log" 2>/dev/null || true; }
newer_than() { [ "$(generations "$1")" -gt "$2" ]; }
start() {
    local before; before=$(generations "$1")
    "$httpd" -f "$1/httpd.conf" || fail "httpd does not start"
    until_true newer_than "$1" "${before:-0}" || fail "httpd does not come up"
}

# ---- what is needed -----------------------------------------------------------------------------------------------

# Finds the programs and the module, or says what is missing.
look_around() {
    local tool candidate
    for tool in "$apxs" curl htpasswd "$@"; do
        command -v "$tool" >/dev/null || { say "$tool is needed: apxs/setup installs it on Debian" >&2; exit 1; }
    done
    httpd=$("$apxs" -q SBINDIR)/$("$apxs" -q PROGNAME)
    modules=$("$apxs" -q LIBEXECDIR)
    module=${MSC_MODULE:-}
    for candidate in target/release/libmod_session_cluster.so target/debug/libmod_session_cluster.so; do
        if [ -z "$module" ] && [ -f "$candidate" ]; then module=$candidate; fi
    done
    [ -f "$module" ] || { say "the module is not built: run make" >&2; exit 1; }
    module=$(realpath "$module")
}

# Sets `port` to the first free one from there on.
find_port() {
    port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
}

# Makes a server root with a site of two pages; the first argument is the root, the second what the inner page says.
furnish() {
    mkdir -p "$1"/{run,htdocs/app}
    if [ "$(id -u)" = 0 ] && ! runuser -u www-data -- test -x "$1/htdocs"; then
        say "www-data, as whom httpd runs, cannot enter $1: set DEMO_ROOT to a place where it can, such as /tmp/demo" >&2
        exit 1
    fi
    htpasswd -bcB "$1/passwords" alice wonderland 2>/dev/null
    cat >"$1/htdocs/index.html" <<'PAGE'
<!doctype html><html lang="en"><meta charset="utf-8"><title>Demo</title>
<h1>mod_session_cluster</h1>
<p>This page is for everybody. <a href="/app/">The next one</a> is for alice, whose password is <code>wonderland</code>.</p>
PAGE
    cat >"$1/htdocs/app/index.html" <<PAGE
<!doctype html><html lang="en"><meta charset="utf-8"><title>Inside</title>
<h1>You are logged in</h1>
<p>$2</p>
<form method="post" action="/logout"><button>Log out</button></form>
PAGE
}

# The head of a configuration: server root, port, httpd's modules to load.
basics() {
    local name
    cat <<CONF
ServerRoot "$1"
Listen 127.0.0.1:$2
ServerName 127.0.0.1
DefaultRuntimeDir run
PidFile run/httpd.pid
ErrorLog error.log
DocumentRoot "$1/htdocs"
CONF
    for name in mpm_event authz_core "${@:3}"; do echo "LoadModule ${name}_module $modules/mod_$name.so"; done
    if [ "$(id -u)" = 0 ]; then printf 'User www-data\nGroup www-data\n'; fi
}

# ---- the browser --------------------------------------------------------------------------------------------------

status= location=
# Asks for a page as a browser does, and sets `status` and `location`. The cookies are in $jar; the page goes to
# $root/page, its headers to $root/headers.
ask() {
    local answer
    answer=$(curl -s -o "$root/page" -D "$root/headers" -w '%{http_code} %{redirect_url}' -b "$jar" \
        -H 'Accept: text/html' "$@") || fail "no answer to: curl $*"
    status=${answer%% *} location=${answer#* }
    location=${location#"$site"}
}
step=0
report() { step=$((step + 1)); printf '%2d. %-62s %s\n' "$step" "$1" "$2"; }
inside() { [ "$status" = 200 ] || fail "$1: status $status $location"; }
outside() { [[ $status == 30[23] && $location == /login* ]] || fail "$1: status $status $location"; }
