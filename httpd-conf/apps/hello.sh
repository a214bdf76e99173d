#!/bin/sh
# A CGI program, here in sh: what the session says is in the environment.

html() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }

# A POST is the button. The session changes before this answer reaches the browser.
if [ "$REQUEST_METHOD" = POST ]; then
    cat >/dev/null # What was sent, to the end: mod_cgid loses the answer of a program that leaves it.
    printf 'Status: 303 See Other\nLocation: %s\nX-Session-Update: terms=accepted\n\n' "$SCRIPT_NAME"
    exit
fi

if [ "$SESSION_TERMS" = accepted ]; then
    terms='<p>You accepted the terms.</p>'
else
    terms='<form method="post"><button>Accept the terms</button></form>'
fi
cat <<END
Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<title>Hello</title>
<h1>Hello, $(html "$SESSION_USER")</h1>
<p>Grants: $(html "$SESSION_GRANTS"). Role: $(html "$SESSION_ROLE").</p>
$terms
END
