//! httpd with mod_python, a process for each connection but for MemorySession. Its pages are the same files, sent by a
//! handler; the handler without a session is what they are compared with.

use crate::ours::common;
use crate::scene::Scene;
use harness::{Mpm, Site};

/// A session class of mod_python's, and whether each page saves its session, as a timeout by last use wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Session {
    Memory,
    Dbm { save: bool },
    File { save: bool },
}

/// With that class.
pub(crate) fn python(scene: &Scene, session: Session) -> Site {
    let (class, save, mpm) = match session {
        // Its sessions are those of one process, so the event MPM runs one for all connections.
        Session::Memory => ("MemorySession", false, Mpm::Event),
        Session::Dbm { save } => ("DbmSession", save, Mpm::Prefork),
        Session::File { save } => ("FileSession", save, Mpm::Prefork),
    };
    let keep = if save { "session.save()" } else { "pass" };
    let program =
        HANDLERS.replace("MAKE", class).replace("KEEP", keep).replace("PAGE", &scene.path("page.html"));
    scene.write("strategies.py", &program);
    scene.write("page.html", &"x".repeat(1024));
    let own = scene.own("python");
    let mut site = common(mpm).load(&["python"]).conf(&format!(
        "PythonPath \"sys.path + ['{}']\"\nPythonAutoReload Off\n\
         PythonOption mod_python.dbm_session.database_directory {own}\n\
         PythonOption mod_python.file_session.database_directory {own}\n\
         PythonOption mod_python.mutex_directory {own}",
        scene.path("")
    ));
    for name in ["open", "closed", "login", "logout"] {
        let lines = "SetHandler mod_python\nRequire all granted";
        site =
            site.conf(&format!("<Location /{name}>\n{lines}\nPythonHandler strategies::{name}\n</Location>"));
    }
    site
}

const HANDLERS: &str = r#"
import base64, hashlib, urllib.parse
from mod_python import Session, apache

HASH = "tiY7sUhYKUwI5L3866kDY+ENcrQ="


def page(req):
    req.content_type = "text/html"
    req.set_content_length(1024)
    req.sendfile("PAGE")
    return apache.OK


def open(req):
    return page(req)


def closed(req):
    session = Session.MAKE(req)
    if session.is_new():
        return apache.HTTP_UNAUTHORIZED
    KEEP
    return page(req)


def login(req):
    form = urllib.parse.parse_qs(req.read())  # util.FieldStorage finds no field in Python 3.
    if base64.b64encode(hashlib.sha1(form[b"httpd_password"][0]).digest()).decode() != HASH:
        return apache.HTTP_UNAUTHORIZED
    session = Session.MAKE(req)
    session["user"] = "alice"
    session.save()
    return page(req)


def logout(req):
    session = Session.MAKE(req)
    session.invalidate()
    return page(req)
"#;
