#!/usr/bin/env python3
# An application's own login and logout, as a CGI program: it decides who somebody is and what they may, and httpd keeps
# the session.

import os
import sys
from hashlib import scrypt
from hmac import compare_digest
from urllib.parse import parse_qs, quote, urlencode

# What a database would hold, here of a user with the password 'wonderland'.
USERS = {"alice": {"salt": "6d6f6b7475", "hash": "c3e7bb984285e452d2fb4c039de121701d77bc6efca5a5ca3fd8fc59b117353b",
                   "session": [("role", "tutor"), ("grant", "staff")]}}
FORM = """Content-Type: text/html; charset=utf-8

<!DOCTYPE html>
<title>Log in</title>
<form method="post"><input name="user"> <input name="password" type="password"> <button>Log in</button></form>
"""


def checked(user, password):
    known = USERS.get(user, {"salt": "00", "hash": "", "session": None})  # Takes as long for somebody unknown.
    digest = scrypt(password.encode(), salt=bytes.fromhex(known["salt"]), n=1 << 14, r=8, p=1, dklen=32).hex()
    return known["session"] if compare_digest(digest, known["hash"]) else None


sent = parse_qs(sys.stdin.read(int(os.environ.get("CONTENT_LENGTH") or 0)))
if os.environ.get("HTTP_SEC_FETCH_SITE", "same-origin") != "same-origin":
    sent = {}  # Another site's form must log nobody in or out.
user = sent.get("user", [""])[0]
session = checked(user, sent.get("password", [""])[0]) if user else None
if session is not None:
    order = urlencode([("user", user), *session], quote_via=quote)
    print(f"Status: 303 See Other\nLocation: /own/hello\nX-Session-Replace: {order}\n")
elif "logout" in sent:
    print("Status: 303 See Other\nLocation: /own/login\nX-Session-Replace:\n")
else:
    print(FORM, end="")
