//! `SessionClusterBackend`: an application begins, changes and ends sessions by headers of its answers.

use harness::{Browser, Httpd, Mpm, Page, Site, eventually, on_each_mpm};
use std::time::Duration;

on_each_mpm!(an_application_logs_in_changes_rights_and_logs_out);

/// Answers with the header that its query asks for: `?replace=...` or `?update=...`, percent-encoded once more.
const APPLICATION: &str = r#"#!/usr/bin/perl
my ($kind, $order) = split /=/, $ENV{QUERY_STRING}, 2;
$order =~ s/%([0-9A-F]{2})/chr(hex($1))/ge;
my %name = (replace => 'X-Session-Replace', update => 'X-Session-Update');
print "$name{$kind}: $order\r\n" if $name{$kind};
print "X-Session-Update: x=1\r\n" if $order =~ /twice/;
print "Content-Type: text/plain\r\n\r\nuser=$ENV{SESSION_USER} terms=$ENV{SESSION_TERMS} grants=$ENV{SESSION_GRANTS}\n";
"#;

fn start(mpm: Mpm) -> Httpd {
    let httpd = Site::new(mpm)
        .load(&[mpm.cgi_module()])
        .conf("ScriptAlias /run cgi/run.pl\nScriptAlias /app/run cgi/run.pl\nScriptAlias /deaf cgi/run.pl")
        .conf("<IfModule mod_cgid.c>\nScriptSock cgid\n</IfModule>")
        .conf("SessionClusterExport env user terms grants")
        .conf("<LocationMatch ^/(app/)?run>\nSessionClusterBackend On\n</LocationMatch>")
        .file("cgi/run.pl", APPLICATION)
        .start();
    eventually("cgid", Duration::from_secs(5), || (httpd.browser().get("/run").status == 200).then_some(()));
    httpd.log.allow("cgid");
    httpd
}

/// Has the application answer with an order.
#[track_caller]
fn order(browser: &mut Browser, kind: &str, order: &str) -> Page {
    let query = order.replace('%', "%25").replace(' ', "%20");
    let page = browser.get(&format!("/run?{kind}={query}")).expect(200);
    for header in ["X-Session-Replace", "X-Session-Update"] {
        assert_eq!(page.header(header), None, "it goes no further: {page:?}");
    }
    page
}

fn an_application_logs_in_changes_rights_and_logs_out(mpm: Mpm) {
    let httpd = start(mpm);
    let mut browser = httpd.browser();
    let says = |browser: &mut Browser| browser.get("/app/run").body;
    assert!(browser.get("/app/run").is_refused());

    let page = order(&mut browser, "replace", "user=d%C3%A9esse&grant=staff&terms=no");
    assert!(page.header("Set-Cookie").unwrap().starts_with("SCID="), "{page:?}");
    assert_eq!(says(&mut browser), "user=déesse terms=no grants=staff\n");
    let first = browser.session().to_owned();

    // The same again is nothing new.
    let page = order(&mut browser, "update", "terms=no");
    assert_eq!((page.header("Set-Cookie"), browser.session()), (None, first.as_str()));

    order(&mut browser, "update", "terms=accepted&grant=tutor&revoke=staff");
    assert_eq!(says(&mut browser), "user=déesse terms=accepted grants=tutor\n");
    assert_ne!(browser.session(), first);
    order(&mut browser, "replace", "terms=again");
    assert_eq!(says(&mut browser), "user=déesse terms=again grants=\n");

    // Another user is another session, of which the first one's cookies know nothing.
    let mut before = browser.clone();
    order(&mut browser, "replace", "user=bob");
    assert_eq!(says(&mut browser), "user=bob terms= grants=\n");
    assert!(before.get("/app/run").is_refused());

    let mut before = browser.clone();
    let page = order(&mut browser, "replace", "");
    assert!(page.header("Set-Cookie").unwrap().contains("Max-Age=0"), "{page:?}");
    assert!(before.get("/app/run").is_refused(), "an end is an end everywhere");
}

#[test]
fn wrong_orders_are_dropped_whole_and_logged_once() {
    let httpd = start(Mpm::Prefork);
    httpd.log.allow("SC0310");
    let mut alice = httpd.browser_of("alice");
    let before = alice.session().to_owned();
    for wrong in [
        "terms=x&user=",
        "user=a%0d%0aSet-Cookie:%20a=b",
        "terms=a%00b",
        "te%0arms=x",
        "grant=a b",
        "terms=twice",
        "terms=%zz",
    ] {
        let page = order(&mut alice, "update", wrong);
        assert_eq!(page.header("Set-Cookie"), None, "{wrong}: {page:?}");
        assert_eq!(alice.session(), before);
    }
    // An update of nothing, or of somebody else.
    order(&mut alice, "update", "user=bob");
    let mut stranger = httpd.browser();
    order(&mut stranger, "update", "terms=x");
    assert!(stranger.cookies.is_empty());
    assert_eq!(alice.get("/app/run").body, "user=alice terms= grants=\n");
    let lines = httpd.log.count("SC0310");
    assert!((1..=3).contains(&lines), "one a process: {lines}");
}

#[test]
fn applications_elsewhere_order_nothing() {
    let httpd = start(Mpm::Event);
    let mut browser = httpd.browser();
    browser.get("/deaf?replace=user=root").expect(200);
    assert!(browser.cookies.is_empty());
    let mut alice = httpd.browser_of("alice");
    alice.get("/deaf?update=terms=x").expect(200);
    alice.get("/deaf?replace=").expect(200);
    assert_eq!(alice.get("/app/run").body, "user=alice terms= grants=\n");
}
