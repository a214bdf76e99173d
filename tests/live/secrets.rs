//! What may lie about without giving anything away: the table file and the logs, however talkative.

use harness::{Mpm, Site, exchange};

#[test]
fn a_stolen_table_file_holds_no_id_no_name_and_no_password() {
    let mut httpd = Site::new(Mpm::Event).conf("SessionClusterTable 4M sessions").start();
    let mut browsers: Vec<_> = (0..20).map(|n| httpd.browser_of(&format!("user{n}"))).collect();
    browsers[0].post("/logout", &[]);
    httpd.stop();
    assert!(httpd.secrets_in("run/sessions").is_empty());
    let table = std::fs::read(httpd.path("run/sessions")).unwrap();
    assert!(table.iter().any(|&byte| byte != 0));
    for word in ["user1", "wonderland", "Session"] {
        assert!(!table.windows(word.len()).any(|bytes| bytes == word.as_bytes()), "{word}");
    }
}

#[test]
fn the_table_file_is_for_the_server_only() {
    use std::os::unix::fs::PermissionsExt;
    let httpd = Site::new(Mpm::Event).conf("SessionClusterTable 4M sessions").start();
    let mode = std::fs::metadata(httpd.path("run/sessions")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn not_even_the_most_talkative_log_tells_an_id_or_a_password() {
    let httpd = Site::new(Mpm::Event).conf("LogLevel session_cluster:trace8").start();
    httpd.log.allow("session_cluster:");
    let mut browser = httpd.browser_of("alice");
    browser.get("/app/page.html").expect(200);
    browser.post("/login", &[("httpd_username", "alice"), ("httpd_password", "looking-glass")]);
    browser.login("bob");
    browser.get("/whoami").expect(200);
    browser.post("/logout", &[]);
    assert!(httpd.secrets_in("error.log").is_empty());
    for word in ["wonderland", "looking-glass"] {
        assert_eq!(httpd.log.count(word), 0, "{word}");
    }
}

#[test]
fn no_other_module_sees_the_session_cookie_of_a_request() {
    let httpd = Site::new(Mpm::Event)
        .conf("TraceEnable On\nLogFormat \"%{SCID}C | %{Cookie}i\" cookies\nCustomLog cookies.log cookies")
        .start();
    let mut browser = httpd.browser_of("alice");
    browser.cookies.insert("A".into(), "1".into());
    browser.get("/open/page.html").expect(200);
    browser.get("/app/page.html").expect(200);
    browser.get("/nowhere").expect(404);
    let id = browser.session();
    let trace = format!("TRACE / HTTP/1.0\r\nCookie: A=1; SCID={id}\r\n\r\n");
    let answer = exchange(httpd.address(), trace.as_bytes());
    assert!(answer.contains("Cookie: A=1") && !answer.contains(id), "{answer}");
    let log = std::fs::read_to_string(httpd.path("cookies.log")).unwrap();
    assert!(log.contains("- | A=1\n") && !log.contains(id), "{log}");
}
