//! A session opens only the doors of its own login: the same `AuthType` and `AuthName`. Three kinds of login stand side
//! by side here, for the same users.

use super::basic::{PASSWORD, basic, door};
use super::database::Database;
use super::oidc_provider::{CALLBACK, Provider};
use super::slapd::Slapd;
use harness::{Browser, Mpm, Site, on_each_mpm};

on_each_mpm!(a_login_opens_the_doors_of_its_own_kind_only);

struct Town {
    database: Database,
    slapd: Slapd,
    provider: Provider,
}

impl Town {
    fn new() -> Town {
        Town {
            database: Database::with(&["alice"]),
            slapd: Slapd::start(&["alice"]),
            provider: Provider::start(),
        }
    }

    /// `/a` and `/a2`: the database. `/b`: the directory. `/c`: the provider. `/b-for-a`: the directory, under the name
    /// of the database.
    fn site(&self, mpm: Mpm) -> Site {
        let dbd = format!("{}\nSessionClusterAdopt On", Database::provider());
        let ldap = format!("{}\nSessionClusterAdopt On", self.slapd.provider());
        let mut site = Site::new(mpm)
            .load(&["dbd", "authn_dbd", "ldap", "authnz_ldap", "auth_openidc"])
            .conf(&self.database.conf())
            .conf(Slapd::cache_off())
            .conf(&self.provider.conf())
            .conf(&(door("/a", "A", &dbd) + &door("/a2", "A", &dbd) + &door("/b", "B", &ldap)))
            .conf(&door("/b-for-a", "A", &ldap))
            .conf(&format!(
                "<LocationMatch ^/c>\nAuthType openid-connect\nRequire valid-user\n</LocationMatch>\n\
                 <Location /c>\nSessionClusterAdopt On\n</Location>\n<Location {CALLBACK}>\n\
                 AuthType openid-connect\n</Location>"
            ));
        for place in ["a", "a2", "b", "b-for-a", "c"] {
            site = site.file(&format!("htdocs/{place}/page.html"), place);
        }
        site
    }
}

/// What a browser is answered at each place when it shows nothing but its cookies, on copies of its jar.
fn doors(browser: &Browser) -> [u16; 6] {
    ["/a/page.html", "/a2/page.html", "/b/page.html", "/b-for-a/page.html", "/c/page.html", "/app/page.html"]
        .map(|path| browser.clone().get_with(path, &[]).status)
}

/// Neither of the other two logins leaves a cookie that could open a door by itself.
fn only_our_cookie(browser: &mut Browser) {
    browser.cookies.retain(|name, _| name == "SCID");
    assert_eq!(browser.cookies.len(), 1);
}

fn a_login_opens_the_doors_of_its_own_kind_only(mpm: Mpm) {
    let town = Town::new();
    let httpd = town.site(mpm).start();
    let alice = basic("alice", PASSWORD);
    let shown = [("Authorization", alice.as_str())];
    assert_eq!(doors(&httpd.browser()), [401, 401, 401, 401, 302, 401]);

    let mut browser = httpd.browser();
    browser.get_with("/a/page.html", &shown).expect(200);
    only_our_cookie(&mut browser);
    // Whoever gives two places one AuthType and one AuthName says that either login is good for both.
    assert_eq!(doors(&browser), [200, 200, 401, 200, 302, 401]);
    assert_eq!(town.slapd.binds("alice"), 0);

    let mut browser = httpd.browser();
    browser.get_with("/b/page.html", &shown).expect(200);
    only_our_cookie(&mut browser);
    assert_eq!(doors(&browser), [401, 401, 200, 401, 302, 401]);

    let mut browser = httpd.browser();
    town.provider.open(&mut browser, "/c/page.html", "alice").expect(200);
    only_our_cookie(&mut browser);
    assert_eq!(doors(&browser), [401, 401, 401, 401, 200, 401]);

    let browser = httpd.browser_of("alice");
    assert_eq!(doors(&browser), [401, 401, 401, 401, 302, 200]);
}

#[test]
fn a_second_login_of_the_same_user_takes_the_place_of_the_first() {
    let town = Town::new();
    let httpd = town.site(Mpm::Event).start();
    let alice = basic("alice", PASSWORD);
    let shown = [("Authorization", alice.as_str())];
    let mut browser = httpd.browser();
    browser.get_with("/a/page.html", &shown).expect(200);
    let first = browser.session().to_owned();
    browser.get_with("/b/page.html", &shown).expect(200);
    assert_ne!(browser.session(), first);
    assert_eq!(doors(&browser), [401, 401, 200, 401, 302, 401]);
    // A logout ends all of it.
    let kept = browser.clone();
    browser.post("/logout", &[]);
    assert_eq!(doors(&kept), [401, 401, 401, 401, 302, 401]);
}

#[test]
fn a_user_of_the_same_name_at_the_provider_opens_no_door_of_the_directory() {
    let town = Town::new();
    let httpd = town.site(Mpm::Event).start();
    let alice = basic("alice", PASSWORD);
    let mut browser = httpd.browser();
    town.provider.open(&mut browser, "/c/page.html", "alice").expect(200);
    let page = browser.get_with("/b/page.html", &[]).expect(401);
    assert!(
        page.header("WWW-Authenticate").is_some_and(|how| how.starts_with("Basic realm=\"B\"")),
        "{page:?}"
    );
    assert_eq!(town.slapd.binds("alice"), 0);
    // With the password she may, and is alice of the directory from then on.
    browser.get_with("/b/page.html", &[("Authorization", &alice)]).expect(200);
    assert_eq!(town.slapd.binds("alice"), 1);
    browser.get_with("/b/page.html", &[]).expect(200);
}
