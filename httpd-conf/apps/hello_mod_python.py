# A handler for mod_python: what the session says is in the request's subprocess_env.

from html import escape

from mod_python import apache

PAGE = """<!DOCTYPE html>
<title>Hello</title>
<h1>Hello, {user}</h1>
<p>Grants: {grants}. Role: {role}.</p>
{terms}
"""
BUTTON = '<form method="post"><button>Accept the terms</button></form>'


def handler(req):
    # A POST is the button. The session changes before this answer reaches the browser.
    if req.method == "POST":
        req.status = apache.HTTP_SEE_OTHER
        req.headers_out["Location"] = req.uri
        req.headers_out["X-Session-Update"] = "terms=accepted"
        return apache.OK

    def says(name):
        return escape(req.subprocess_env.get("SESSION_" + name, ""))

    terms = "<p>You accepted the terms.</p>" if says("TERMS") == "accepted" else BUTTON
    req.content_type = "text/html; charset=utf-8"
    req.write(PAGE.format(user=says("USER"), grants=says("GRANTS"), role=says("ROLE"), terms=terms))
    return apache.OK
