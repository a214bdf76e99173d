#!/usr/bin/env python3
# A server of its own behind mod_proxy: what the session says comes in request headers. They can be trusted as long as
# nobody but httpd gets at its port, which is the argument.

import sys
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!DOCTYPE html>
<title>Hello</title>
<h1>Hello, {user}</h1>
<p>Grants: {grants}. Role: {role}.</p>
{terms}
"""
BUTTON = '<form method="post"><button>Accept the terms</button></form>'


class Hello(BaseHTTPRequestHandler):
    def says(self, name):
        return escape(self.headers.get("X-Session-" + name, "").encode("latin-1").decode(errors="replace"))

    def do_GET(self):
        user, grants, role = self.says("User"), self.says("Grants"), self.says("Role")
        terms = "<p>You accepted the terms.</p>" if self.says("Terms") == "accepted" else BUTTON
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.format(user=user, grants=grants, role=role, terms=terms).encode())

    # The button. The session changes before this answer reaches the browser.
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(303)
        self.send_header("Location", self.path)
        self.send_header("X-Session-Update", "terms=accepted")
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hello).serve_forever()
