//! What mod_session keeps to itself: that a session could not be loaded, or was not saved. Neither is taken for a
//! session that is not there, or for one that is.

use harness::redis::Redis;
use harness::{Browser, Httpd, Mpm, Page, Site, eventually, on_each_mpm};
use std::time::Duration;

on_each_mpm!(
    a_session_that_cannot_be_loaded_is_not_taken_for_none,
    a_session_that_cannot_be_saved_is_not_taken_for_saved,
);

/// Puts the query into the session, and shows what the session says.
const CART: &str = r#"#!/bin/sh
echo "Content-Type: text/plain"
[ -z "$QUERY_STRING" ] || echo "X-Replace-Session: $QUERY_STRING"
echo
echo "cart: $HTTP_SESSION"
"#;

const LOGIN: [(&str, &str); 2] = [("httpd_username", "alice"), ("httpd_password", "wonderland")];

/// A node over `redis`: a shop, mod_auth_form's handlers, and a page that tells of an outage, all on mod_session.
fn node(mpm: Mpm, redis: &Redis, more: &str) -> Httpd {
    let form = "AuthType Form\nAuthName Form\nAuthFormProvider file\nAuthUserFile passwords";
    let place = |at: &str, more: &str| {
        let session = "Session On\nSessionCluster On\nSessionHeader X-Replace-Session\nSessionEnv On";
        format!("<Location {at}>\n{session}\nOptions +ExecCGI +Includes\n{more}\n</Location>")
    };
    let httpd = Site::bare(mpm)
        .load(&["session", "request", "auth_form", "include", "proxy", "proxy_http", mpm.cgi_module()])
        .conf(&format!(
            "SessionClusterStore {}\nSessionClusterRealm r\nAddHandler cgi-script .cgi",
            redis.url()
        ))
        .conf("AddOutputFilter INCLUDES .shtml\n<Location /status>\nSetHandler server-status\n</Location>")
        .conf("<Location /open>\nOptions +Includes\n</Location>")
        .conf(&place("/shop", ""))
        .conf(&place("/in", &format!("{form}\nSetHandler form-login-handler\nRequire all granted")))
        .conf(&place("/out", &format!("{form}\nSetHandler form-logout-handler\nRequire all granted")))
        .conf("<Location /in/to>\nAuthFormLoginSuccessLocation /shop/cart.cgi\n</Location>")
        .conf("<Location /out/to>\nAuthFormLogoutLocation /shop/cart.cgi\n</Location>")
        .conf(more)
        .file("htdocs/shop/cart.cgi", CART)
        .file(
            "htdocs/shop/sorry.html",
            "#!/bin/sh\necho 'Content-Type: text/html'\necho\necho 'We are sorry.'\n",
        )
        .file("htdocs/open/part.shtml", "<p>part:<!--#include virtual=\"/shop/cart.cgi\" -->\n")
        .start();
    // The outage, and what mod_session says of it.
    ["SC040", "SC0206", "AH01816", "AH01822", "unable to include"]
        .iter()
        .for_each(|sign| httpd.log.allow(sign));
    eventually("a node that trusts its table", Duration::from_secs(2), || {
        let status = httpd.browser().get("/status?auto").expect(200);
        (!status.body.contains("SessionClusterLeaseMs: 0")).then_some(())
    });
    httpd
}

/// With and without a page of its own for an outage, which has a session as well.
const SORRY: [&str; 2] = ["", "ErrorDocument 503 /shop/sorry.html"];

/// `page` says that it cannot be told, and nothing of it is kept.
#[track_caller]
fn is_unavailable(page: &Page, sorry: &str) {
    assert_eq!((page.status, page.header("Retry-After")), (503, Some("2")), "{page:?}");
    assert!(page.all("Set-Cookie").is_empty() && page.header("Location").is_none(), "{page:?}");
    assert!(!page.body.contains("cart:"), "{page:?}");
    let own = page.body.contains("We are sorry.");
    assert!(own || sorry.is_empty() || page.body.contains("Service Unavailable"), "{page:?}");
}

fn a_session_that_cannot_be_loaded_is_not_taken_for_none(mpm: Mpm) {
    for sorry in SORRY {
        let redis = Redis::start();
        let (here, there) = (node(mpm, &redis, ""), node(mpm, &redis, sorry));
        let mut browser = here.browser();
        browser.get("/shop/cart.cgi?key=one").expect(200);
        let mut user = here.browser();
        user.post("/in/to", &LOGIN).expect(302);
        let (mut browser, mut user) = (there.visit(&browser), there.visit(&user));
        redis.freeze();
        let page = browser.get("/shop/cart.cgi");
        is_unavailable(&page, sorry);
        assert_eq!(page.body.contains("We are sorry."), !sorry.is_empty(), "{page:?}");
        // Not even where a new session would take its place.
        is_unavailable(&browser.get("/shop/cart.cgi?key=two"), sorry);
        for path in ["/out/", "/out/to", "/in/"] {
            is_unavailable(&user.get(path), sorry);
        }
        is_unavailable(&user.post("/in/to", &LOGIN), sorry);
        assert!(!browser.get("/open/part.shtml").expect(200).body.contains("cart:"));
        // Who has none needs no store.
        assert_eq!(there.browser().get("/shop/cart.cgi").expect(200).body, "cart: \n");
        redis.thaw();
        let body = eventually("the store", Duration::from_secs(3), || {
            let page = browser.get("/shop/cart.cgi");
            (page.status == 200).then_some(page.body)
        });
        assert_eq!(body, "cart: key=one\n");
        // Each child finds out for itself.
        let body = eventually("the store", Duration::from_secs(3), || {
            let page = user.get("/shop/cart.cgi");
            (page.status == 200).then_some(page.body)
        });
        assert!(body.contains("Form-user=alice"), "{body}");
    }
}

fn a_session_that_cannot_be_saved_is_not_taken_for_saved(mpm: Mpm) {
    let application = Site::bare(mpm)
        .load(&[mpm.cgi_module()])
        .conf("AddHandler cgi-script .cgi\n<Location /open>\nOptions +ExecCGI\n</Location>")
        .file("htdocs/open/cart.cgi", CART)
        .start();
    for sorry in SORRY {
        let redis = Redis::start();
        let proxy = format!(
            "{sorry}\n<Location /shop/away>\nProxyPass http://{}/open\n</Location>",
            application.address()
        );
        let httpd = node(mpm, &redis, &proxy);
        let mut browser = httpd.browser();
        browser.get("/shop/cart.cgi?key=one").expect(200);
        let mut user = httpd.browser();
        user.post("/in/to", &LOGIN).expect(302);
        let begin = |browser: &mut Browser, path: &str| match path.strip_prefix("/in") {
            Some(_) => browser.post(path, &LOGIN),
            None => browser.get(path),
        };
        let refuse = |yes: bool| {
            let replicas = if yes { "1" } else { "0" };
            assert_eq!(redis.cli(&["CONFIG", "SET", "min-replicas-to-write", replicas]), "OK");
        };
        let mut try_all = || {
            for path in ["/shop/cart.cgi?key=new", "/shop/away/cart.cgi?key=new", "/in/", "/in/to"] {
                is_unavailable(&begin(&mut httpd.browser(), path), sorry);
            }
            is_unavailable(&browser.get("/shop/cart.cgi?key=two"), sorry);
            for path in ["/out/", "/out/to"] {
                is_unavailable(&user.get(path), sorry);
            }
        };
        redis.freeze();
        try_all();
        redis.thaw();
        eventually("the store", Duration::from_secs(3), || {
            (httpd.browser().get("/shop/cart.cgi?key=any").status == 200).then_some(())
        });
        refuse(true);
        try_all();
        // Nothing has changed, and what changes nothing is answered.
        assert_eq!(browser.get("/shop/cart.cgi").expect(200).body, "cart: key=one\n");
        assert!(user.get("/shop/cart.cgi").expect(200).body.contains("Form-user=alice"));
        refuse(false);
        eventually("the store", Duration::from_secs(3), || {
            (browser.get("/shop/cart.cgi?key=two").status == 200).then_some(())
        });
        assert_eq!(browser.get("/shop/cart.cgi").expect(200).body, "cart: key=two\n");
        // Each child finds out for itself.
        eventually("the store", Duration::from_secs(3), || (user.get("/out/").status == 200).then_some(()));
        assert_eq!(user.get("/shop/cart.cgi").expect(200).body, "cart: \n");
    }
}
