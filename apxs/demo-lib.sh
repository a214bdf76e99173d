# What apxs/demo and apxs/demo-cluster share: httpds of their own under a directory, each found and stopped by its pid,
# and a browser. To be sourced by them, with `demo` set to their name. `fail` is theirs.
# shellcheck shell=bash disable=SC2034,SC2154

apxs=${APXS:-apxs}
umask 022 # www-data is to read what root writes here

say() { printf '%s\n' "$@"; }

# ---- where it is --------------------------------------------------------------------------------------------------

# Whether the user as whom httpd's children will run may go there, or to where it will be made.
can_be_entered() {
    local place=$1
    [ "$(id -u)" = 0 ] || return 0
    until [ -e "$place" ]; do place=$(dirname "$place"); done
    runuser -u www-data -- test -x "$place"
}

# root's httpd serves as www-data, which cannot enter a clone under /root, nor one in most homes.
root=$(realpath -m "${DEMO_ROOT:-target/$demo}")
if [ -z "${DEMO_ROOT:-}" ] && ! can_be_entered "$root"; then root=/run/session-cluster-$demo; fi

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

# Each httpd of a demo carries its name, so that it is found wherever it was started, and even if its files are gone.
mark=DEMO_OF_SESSION_CLUSTER_${demo^^}
mark=${mark//-/_}

# Prints PID, DIRECTORY of each parent process of such an httpd, of any user.
marked() {
    local place pid parent arguments
    for place in /proc/[0-9]*; do
        pid=${place#/proc/}
        arguments=$(tr '\0' '\n' 2>/dev/null <"$place/cmdline") || continue
        [[ $arguments == *$'\n-D\n'"$mark" ]] || continue
        parent=$(sed -n 's/^PPid:[[:space:]]*//p' "$place/status" 2>/dev/null) || continue
        # A child has the arguments of its parent.
        if [ "$arguments" != "$(tr '\0' '\n' 2>/dev/null <"/proc/$parent/cmdline")" ]; then
            say "$pid $(sed -n '/^-f$/{n;s:/httpd.conf$::p}' <<<"$arguments")"
        fi
    done
}

# Ends a process by its pid, and says what it was; if it is another user's, says who can.
all_stopped=1 found=
end_process() { # PID, what it is
    found=1
    if kill -TERM "$1" 2>/dev/null; then
        until_true gone "$1" || { say "$2 (pid $1) does not stop" >&2; all_stopped=; return; }
        say "Stopped $2 (pid $1)."
    elif ! gone "$1"; then
        all_stopped=
        say "$2 (pid $1) belongs to $(stat -c %U "/proc/$1"). Stop it with: sudo apxs/$demo --stop" >&2
    fi
}
# What has ended may stay as a zombie for a while, without arguments.
gone() { [ -z "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ]; }
# Ends all httpds of such demos.
end_marked() {
    local pid directory
    while read -r pid directory; do end_process "$pid" "the httpd in $directory"; done < <(marked)
}
finish_stop() {
    if [ -z "$found" ]; then say "No $demo is running."; fi
    [ "$all_stopped" ] || exit 1
    exit 0
}

generations() { grep -c 'resuming normal operations' "$1/error.log" 2>/dev/null || true; }
newer_than() { [ "$(generations "$1")" -gt "$2" ]; }
start() {
    local before; before=$(generations "$1")
    "$httpd" -f "$1/httpd.conf" -D "$mark" || fail "httpd does not start"
    until_true newer_than "$1" "${before:-0}" || fail "httpd does not come up"
}

# ---- what is needed -----------------------------------------------------------------------------------------------

# Finds the programs and the module, or says what is missing.
look_around() {
    local tool candidate
    for tool in "$apxs" htpasswd "$@"; do
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
    if ! can_be_entered "$1/htdocs"; then
        say "www-data, as whom httpd runs, cannot enter $1:" \
            "set DEMO_ROOT to a place where it can, such as /tmp/demo" >&2
        exit 1
    fi
    htpasswd -bcB "$1/passwords" alice wonderland 2>/dev/null
    cat >"$1/htdocs/index.html" <<'PAGE'
<!doctype html><html lang="en"><meta charset="utf-8"><title>Demo</title>
<h1>mod_session_cluster</h1>
<p>This page is for everybody. <a href="/app/">The next one</a> is for alice,
whose password is <code>wonderland</code>.</p>
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

status="" location=""
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
