"""A small OpenID provider for tests: no passwords, no pages, only what the code flow needs.

Whoever visits /authorize is the user whom the cookie `user` names and is sent back at once. Prints its port, and ends
when its standard input does, so that it cannot outlive the test.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import ssl
import sys
import threading
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT, SECRET, CERTIFICATE, KEY = sys.argv[1:]
codes = {}
hits = {"authorize": 0, "token": 0}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims):
    head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    text = head + "." + encode(json.dumps(claims).encode())
    mac = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    return text + "." + encode(mac)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/hits":
            self.answer(200, hits)
        elif url.path == "/authorize" and query.get("client_id") == CLIENT:
            hits["authorize"] += 1
            user = SimpleCookie(self.headers.get("Cookie", ""))["user"].value
            code = secrets.token_hex(8)
            codes[code] = {"sub": user, "nonce": query["nonce"]}
            back = {"code": code, "state": query["state"]}
            self.answer(302, {}, query["redirect_uri"] + "?" + urlencode(back))
        else:
            self.answer(404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        hits["token"] += 1
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = self.headers.get("Authorization") == f"Basic {basic}"
        # A code is good for one use.
        claims = codes.pop(form.get("code"), None)
        if self.path != "/token" or not known or claims is None:
            return self.answer(400, {"error": "invalid_grant"})
        now = int(time.time())
        claims |= {"iss": issuer, "aud": CLIENT, "iat": now, "exp": now + 300}
        self.answer(200, {"access_token": secrets.token_hex(8), "token_type": "Bearer", "id_token": signed(claims)})

    def answer(self, status, what, location=None):
        body = json.dumps(what).encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def end_with_the_test():
    sys.stdin.read()
    os._exit(0)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(CERTIFICATE, KEY)
server.socket = tls.wrap_socket(server.socket, server_side=True)
issuer = f"https://127.0.0.1:{server.server_port}"
threading.Thread(target=end_with_the_test, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
