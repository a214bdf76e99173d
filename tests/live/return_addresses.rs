//! Every return address of the corpus, brought to the login and logout of a real httpd in each way it can come: none
//! leads off the host, and where `/app` is the only prefix, none leads out of it.

use harness::{Browser, Mpm, Page, Site};

#[path = "../../src/session/redirect/browser.rs"]
mod browser;
#[path = "../../src/session/redirect/corpus.rs"]
mod corpus;

const CONFINED: &str = "<Location /app/login>\nSetHandler session-cluster-login\nSessionClusterAuthn file\n\
    AuthUserFile passwords\nSessionClusterReturnTo /app\nRequire all granted\n</Location>\n\
    <Location /app/logout>\nSetHandler session-cluster-logout\nSessionClusterReturnTo /app\nRequire all granted\n\
    </Location>";

/// What became of the addresses.
#[derive(Debug, Default)]
struct Count {
    tried: usize,
    followed: usize,
    elsewhere: usize,
    malformed: usize,
}

impl Count {
    /// Judges the answer to `address`: followed as it is, or not at all.
    fn judge(&mut self, page: &Page, address: &str, prefix: &str) {
        self.tried += 1;
        assert!(
            page.all("Set-Cookie").iter().all(|cookie| cookie.starts_with("SCID=")),
            "{address:?}: {page:?}"
        );
        assert!(page.header("Refresh").is_none(), "{address:?}: {page:?}");
        links(&page.body).for_each(|link| browser::assert_stays(&link, "/"));
        match page.header("Location") {
            Some(to) => {
                assert_eq!(page.status, 303, "{address:?}");
                browser::assert_stays(to, prefix);
                assert!(to == address || to == prefix, "{address:?} led to {to:?}");
                *(if to == address { &mut self.followed } else { &mut self.elsewhere }) += 1;
            }
            None => {
                // Control characters, or a form that is too large.
                assert!(matches!(page.status, 400 | 413), "{address:?}: {page:?}");
                self.malformed += 1;
            }
        }
    }
}

/// What the links and forms of a page lead to.
fn links(body: &str) -> impl Iterator<Item = String> {
    let values = |name: &'static str| {
        body.split(name).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
    };
    values(" href=\"")
        .chain(values(" action=\""))
        .map(|value| value.replace("&#x2f;", "/").replace("&amp;", "&"))
}

fn every_address() -> Vec<String> {
    let addresses = [corpus::hostile(), corpus::puzzling()].concat();
    assert!(addresses.len() >= 900, "only {} addresses", addresses.len());
    addresses
}

fn log_in(browser: &mut Browser, path: &str, address: &str) -> Page {
    let form = [("httpd_username", "alice"), ("httpd_password", "wonderland"), ("httpd_location", address)];
    browser.post(path, &form)
}

/// Percent-encoded, as a script would for a query.
fn encoded(address: &str) -> String {
    address.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn no_return_address_of_a_login_form_leads_off_the_host_or_out_of_the_application() {
    let httpd = Site::new(Mpm::Event).conf(CONFINED).start();
    for (path, prefix) in [("/login", "/"), ("/app/login", "/app")] {
        let mut count = Count::default();
        for address in every_address() {
            count.judge(&log_in(&mut httpd.browser(), path, &address), &address, prefix);
        }
        println!("{path}: {count:?}");
        assert!(count.followed >= 80 && count.elsewhere >= 1000, "{count:?}");
    }
}

#[test]
fn no_return_address_of_a_logout_form_leads_off_the_host_or_out_of_the_application() {
    let httpd = Site::new(Mpm::Event).conf(CONFINED).start();
    for (path, prefix) in [("/logout", "/"), ("/app/logout", "/app")] {
        let mut count = Count::default();
        for address in every_address() {
            let page = httpd.browser().post(path, &[("httpd_location", &address)]);
            count.judge(&page, &address, prefix);
        }
        println!("{path}: {count:?}");
        assert!(count.followed >= 80 && count.elsewhere >= 1000, "{count:?}");
    }
}

#[test]
fn no_return_address_of_a_query_leads_anywhere_by_itself() {
    let httpd = Site::new(Mpm::Event).conf(CONFINED).start();
    let alice = httpd.browser_of("alice");
    let mut tried = 0;
    for address in every_address() {
        for path in ["/login", "/app/login", "/logout", "/app/logout"] {
            for mut browser in [httpd.browser(), alice.clone()] {
                let page = browser.get(&format!("{path}?to={}", encoded(&address)));
                // A query of 8 kB is more than httpd takes.
                assert!(page.status == 200 || page.status == 414, "{address:?}: {page:?}");
                assert_eq!(page.header("Location"), None, "{address:?}");
                assert_eq!(page.header("Refresh"), None, "{address:?}");
                assert_eq!(page.header("Set-Cookie"), None, "{address:?}");
                links(&page.body).for_each(|link| browser::assert_stays(&link, "/"));
                tried += 1;
            }
        }
    }
    println!("{tried} queries");
}

#[test]
fn an_address_that_came_by_the_query_and_goes_through_the_form_leads_nowhere_else_either() {
    let httpd = Site::new(Mpm::Event).conf(CONFINED).start();
    let mut count = Count::default();
    for address in every_address() {
        let mut browser = httpd.browser();
        let page = browser.get(&format!("/app/login?to={}", encoded(&address)));
        // What a browser makes of the form's field, where there is one.
        let Some(field) = page.body.split("name=\"httpd_location\" value=\"").nth(1) else { continue };
        let value = field.split('"').next().unwrap().replace("&#x2f;", "/");
        let value = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
        let value = value.replace("&#x27;", "'").replace("&amp;", "&");
        count.judge(&log_in(&mut browser, "/app/login", &value), &value, "/app");
    }
    println!("by the query and the form: {count:?}");
    // The form offers none that would not be followed.
    assert!(count.followed >= 80 && count.tried == count.followed, "{count:?}");
}
