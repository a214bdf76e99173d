# A WSGI application: what the session says is in its environ, which Django calls request.META.

from html import escape

PAGE = """<!DOCTYPE html>
<title>Hello</title>
<h1>Hello, {user}</h1>
<p>Grants: {grants}. Role: {role}.</p>
{terms}
"""
BUTTON = '<form method="post"><button>Accept the terms</button></form>'


def application(environ, start_response):
    # A POST is the button. The session changes before this answer reaches the browser.
    if environ["REQUEST_METHOD"] == "POST":
        here = environ["SCRIPT_NAME"]
        start_response("303 See Other", [("Location", here), ("X-Session-Update", "terms=accepted")])
        return []

    def says(name):
        # WSGI's strings hold bytes.
        return escape(environ.get("SESSION_" + name, "").encode("latin-1").decode(errors="replace"))

    terms = "<p>You accepted the terms.</p>" if says("TERMS") == "accepted" else BUTTON
    page = PAGE.format(user=says("USER"), grants=says("GRANTS"), role=says("ROLE"), terms=terms)
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode()]
