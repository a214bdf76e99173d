//! What a connection remembers of its last request's session is that session's, and only as long as it lives.

use harness::{Httpd, Mpm, Site, on_each_mpm};
use std::io::{Read, Write};
use std::net::TcpStream;

on_each_mpm!(
    a_logout_elsewhere_is_seen_by_the_next_request_on_a_connection,
    users_who_share_a_connection_stay_apart,
    a_virtual_host_does_not_know_its_neighbours_session_by_the_connection,
);

/// Whom the page at `path` greets, when the connection shows that cookie; `None` if it refuses.
fn user(connection: &mut TcpStream, host: &str, cookie: &str) -> Option<String> {
    let request = format!("GET /app/page.html HTTP/1.1\r\nHost: {host}\r\nCookie: SCID={cookie}\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut part) = (String::new(), [0; 4096]);
    let whole = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
        (body.len() >= length.trim().parse().unwrap()).then_some(())
    };
    while whole(&answer).is_none() {
        let length = connection.read(&mut part).unwrap();
        assert!(length > 0, "closed after: {answer}");
        answer += std::str::from_utf8(&part[..length]).unwrap();
    }
    if answer.starts_with("HTTP/1.1 401") {
        return None;
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.lines().find_map(|line| line.strip_prefix("X-User: ")).map(str::to_owned)
}

fn connect(httpd: &Httpd) -> TcpStream {
    TcpStream::connect(httpd.address()).unwrap()
}

fn a_logout_elsewhere_is_seen_by_the_next_request_on_a_connection(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("KeepAliveTimeout 30").start();
    let mut browser = httpd.browser_of("alice");
    let id = browser.session().to_owned();
    let mut connection = connect(&httpd);
    for _ in 0..5 {
        assert_eq!(user(&mut connection, "localhost", &id).as_deref(), Some("alice"));
    }
    browser.post("/logout", &[]);
    for _ in 0..5 {
        assert_eq!(user(&mut connection, "localhost", &id), None);
    }
}

fn users_who_share_a_connection_stay_apart(mpm: Mpm) {
    let httpd = Site::new(mpm).conf("KeepAliveTimeout 30").start();
    let users = ["alice", "bob"];
    let ids = users.map(|name| httpd.browser_of(name).session().to_owned());
    let mut connection = connect(&httpd);
    // The route makes no difference, to who they are or to what is remembered.
    for i in [0, 0, 1, 0, 1, 1, 0] {
        let routed = format!("{}.web{i}", ids[i]);
        assert_eq!(user(&mut connection, "localhost", &routed).as_deref(), Some(users[i]));
        assert_eq!(user(&mut connection, "localhost", &ids[i]).as_deref(), Some(users[i]));
        assert_eq!(user(&mut connection, "localhost", "nobodys"), None);
    }
}

fn a_virtual_host_does_not_know_its_neighbours_session_by_the_connection(mpm: Mpm) {
    let other = "<VirtualHost *:*>\nServerName localhost\n</VirtualHost>\n\
                 <VirtualHost *:*>\nServerName other.example\nSessionClusterRealm other\n</VirtualHost>";
    let httpd = Site::new(mpm).conf("KeepAliveTimeout 30").conf(other).start();
    let id = httpd.browser_of("alice").session().to_owned();
    let mut connection = connect(&httpd);
    for _ in 0..3 {
        assert_eq!(user(&mut connection, "localhost", &id).as_deref(), Some("alice"));
        assert_eq!(user(&mut connection, "other.example", &id), None);
    }
}
