-- A handler for httpd's own mod_lua: what the session says is in the request's subprocess_env.

function handle(r)
    -- A POST is the button. The session changes before this answer reaches the browser.
    if r.method == "POST" then
        r.status = 303
        r.headers_out["Location"] = r.uri
        r.headers_out["X-Session-Update"] = "terms=accepted"
        return apache2.OK
    end

    local function says(name)
        return r:escape_html(r.subprocess_env["SESSION_" .. name] or "")
    end

    local terms = '<form method="post"><button>Accept the terms</button></form>\n'
    if says("TERMS") == "accepted" then
        terms = "<p>You accepted the terms.</p>\n"
    end
    r.content_type = "text/html; charset=utf-8"
    r:puts("<!DOCTYPE html>\n<title>Hello</title>\n<h1>Hello, ", says("USER"), "</h1>\n")
    r:puts("<p>Grants: ", says("GRANTS"), ". Role: ", says("ROLE"), ".</p>\n", terms)
    return apache2.OK
end
