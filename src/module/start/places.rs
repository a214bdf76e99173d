//! Mistakes that are told by where directives stand: a login that its door does not accept, a login behind its own
//! door, a page of administrators that everybody reaches. httpd merges sections when a request comes, so that
//! this looks at the tree of directives itself, and says only what is certain: of `<Location "/path">`, where nothing
//! else might have a say. What is not found here is said when it shows, once for each place (`SC0210`, `SC0211`,
//! `SC0303`, `SC0315`).

use crate::ffi::util_cfgtree::Directive;
use crate::session::payload::Means;

/// The first mistake that is certain.
///
/// # Errors
/// What it is and what to write instead.
pub(super) fn find(tree: &[Directive]) -> Result<(), String> {
    let mut hosts = tree.iter().filter(|directive| directive.name == "<virtualhost").peekable();
    if hosts.peek().is_none() {
        return Host::of(&[tree]).check();
    }
    // Beside virtual hosts, the main server may answer nothing, and only say what is common to them.
    hosts.map(|host| Host::of(&[tree, &host.within])).try_for_each(|host| host.check())
}

/// What decides who gets in, or where to, if it stands in a section.
const TELLING: [&str; 7] =
    ["authtype", "authname", "require", "sethandler", "sessionclusterlogin", "satisfy", "authmerging"];
/// Answers of `Require` that only somebody who has logged in can get.
const OF_USERS: [&str; 7] =
    ["valid-user", "user", "group", "session", "session-grant", "session-attribute", "session-age"];

/// A virtual host: its sections, and those that it has from the main server, in httpd's order.
struct Host<'t> {
    locations: Vec<Location<'t>>,
    /// Whether anything else may have a say at any path.
    clouded: bool,
    /// Whether anything says what is not said in a location.
    elsewhere: bool,
}

/// A `<Location "/path">`.
struct Location<'t> {
    path: &'t str,
    body: &'t [Directive],
    /// Whether anything in it may or may not hold for a request.
    clouded: bool,
}

/// What holds at a path.
#[derive(Default)]
struct Effect<'t> {
    auth_type: Option<&'t str>,
    auth_name: Option<&'t str>,
    login: Option<&'t str>,
    handler: Option<&'t str>,
    /// The arguments of each `Require`, of the last section that has one.
    require: Vec<&'t [String]>,
    clouded: bool,
}

impl<'t> Host<'t> {
    fn of(levels: &[&'t [Directive]]) -> Self {
        let mut host = Host { locations: Vec::new(), clouded: false, elsewhere: false };
        for directive in levels.iter().copied().flatten() {
            match (directive.name.as_str(), directive.words.as_slice()) {
                ("<virtualhost", _) => {}
                ("<location", [path]) if path.starts_with('/') && !path.contains(['?', '*', '[']) => {
                    let clouded = directive.within.iter().any(is_clouding);
                    host.locations.push(Location { path, body: &directive.within, clouded });
                }
                // Before all locations: what is said there holds where they say nothing.
                (
                    "<directory" | "<directorymatch" | "<files" | "<filesmatch" | "<proxy" | "<proxymatch",
                    _,
                ) => {
                    host.elsewhere |= directive.within.iter().any(says_more);
                }
                (name, _) if name.starts_with('<') => host.clouded |= mentions(directive),
                _ => host.elsewhere |= says_more(directive),
            }
        }
        host
    }

    fn at(&self, path: &str) -> Effect<'t> {
        let mut effect = Effect::default();
        for location in self.locations.iter().filter(|location| location.covers(path)) {
            effect.clouded |= location.clouded;
            let mut require = Vec::new();
            for Directive { name, words, .. } in location.body {
                let first = words.first().map(String::as_str);
                match name.as_str() {
                    "authtype" => effect.auth_type = first,
                    "authname" => effect.auth_name = first,
                    "sessionclusterlogin" => effect.login = first,
                    "sethandler" => effect.handler = first,
                    "require" => require.push(words.as_slice()),
                    _ => {}
                }
            }
            if !require.is_empty() {
                effect.require = require;
            }
        }
        effect
    }

    fn check(&self) -> Result<(), String> {
        if self.clouded {
            return Ok(());
        }
        self.locations.iter().try_for_each(|location| self.check_one(location))
    }

    fn check_one(&self, location: &Location<'_>) -> Result<(), String> {
        let (here, path) = (self.at(location.path), location.path);
        if here.clouded {
            return Ok(());
        }
        let is_open = here.is_open() || (here.require.is_empty() && !self.elsewhere);
        match here.handler {
            Some("session-cluster-admin" | "session-cluster-mine") if is_open => {
                return Err(format!(
                    "SC0131: everybody reaches {} at {path}, which serves those who logged in only: add AuthType and \
                     Require to its location",
                    here.handler.unwrap_or_default()
                ));
            }
            _ => {}
        }
        let Some(login) = here.login.filter(|login| login.starts_with('/') && here.is_door()) else {
            return Ok(());
        };
        let login = login.split('?').next().unwrap_or(login);
        let there = self.at(login);
        if there.clouded || there.handler != Some("session-cluster-login") {
            return Ok(());
        }
        if there.is_door() && there.login.is_some_and(|its| its.split('?').next() == Some(login)) {
            return Err(format!(
                "SC0130: the login {login} is behind the door that it opens: add 'Require all granted' to its location"
            ));
        }
        let certain = |name: Option<&str>| match name {
            None => !self.elsewhere,
            Some(name) => !name.contains(['%', '$']),
        };
        if here.auth_name != there.auth_name && certain(here.auth_name) && certain(there.auth_name) {
            let named =
                |name: Option<&str>| name.map_or("no AuthName".into(), |name| format!("AuthName '{name}'"));
            return Err(format!(
                "SC0132: {path} has {} and its login {login} has {}, so that no login there opens it: give both the \
                 same",
                named(here.auth_name),
                named(there.auth_name)
            ));
        }
        Ok(())
    }
}

impl Location<'_> {
    /// As httpd compares: whole segments.
    fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path);
        rest.is_some_and(|rest| self.path.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
    }
}

impl Effect<'_> {
    /// Whether a session is what lets in here.
    fn is_door(&self) -> bool {
        let of_user = |words: &&[String]| words.first().is_some_and(|kind| OF_USERS.contains(&kind.as_str()));
        self.auth_type.is_some_and(Means::is_own)
            && !self.require.is_empty()
            && self.require.iter().all(of_user)
    }

    /// Whether everybody is let in.
    fn is_open(&self) -> bool {
        self.require
            .iter()
            .any(|words| matches!(words, [all, granted] if all == "all" && granted == "granted"))
    }
}

/// Whether a directive in a location has it decided by what is not told here: another section in it, or older ways to
/// say who may in.
fn is_clouding(inner: &Directive) -> bool {
    (inner.name.starts_with('<') && mentions(inner))
        || ["satisfy", "authmerging"].contains(&inner.name.as_str())
}

/// Whether a section says anything that matters here.
fn mentions(section: &Directive) -> bool {
    section.within.iter().any(|inner| TELLING.contains(&inner.name.as_str()) || mentions(inner))
        || section.name.starts_with("<require")
}

/// Whether a directive says more outside of locations than that everybody or nobody may in.
fn says_more(directive: &Directive) -> bool {
    match (directive.name.as_str(), directive.words.as_slice()) {
        ("require", [all, _]) => all != "all",
        ("allowoverride", [none]) => !none.eq_ignore_ascii_case("none"),
        (name, _) if name.starts_with('<') => mentions(directive),
        (name, _) => name.starts_with("allowoverride") || TELLING.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of lines: `<location /x` begins a section, `>` ends it.
    fn tree(text: &str) -> Vec<Directive> {
        fn read<'l>(lines: &mut impl Iterator<Item = &'l str>) -> Vec<Directive> {
            let mut found = Vec::new();
            while let Some(line) = lines.next().map(str::trim).filter(|line| *line != ">") {
                let mut words = line.split_whitespace().map(str::to_owned);
                let name = words.next().unwrap_or_default().to_ascii_lowercase();
                let words = words.collect();
                let within = if name.starts_with('<') { read(lines) } else { Vec::new() };
                found.push(Directive { name, words, within });
            }
            found
        }
        read(&mut text.lines().filter(|line| !line.trim().is_empty()))
    }

    #[track_caller]
    fn finds(code: &str, text: &str) {
        let said = find(&tree(text)).expect_err(text);
        assert!(said.starts_with(code), "{text}: {said}");
    }

    #[track_caller]
    fn passes(text: &str) {
        assert_eq!(find(&tree(text)), Ok(()), "{text}");
    }

    const LOGIN: &str = "<Location /login\nSetHandler session-cluster-login\nRequire all granted\n>\n";

    #[test]
    fn a_door_and_its_login_need_one_auth_name() {
        let door = "<Location /app\nAuthType session\nAuthName A\nSessionClusterLogin /login?x\n\
                    Require valid-user\n>\n";
        finds("SC0132", &format!("{LOGIN}{door}"));
        finds("SC0132", &format!("{LOGIN}<Location /login\nAuthName B\n>\n{door}"));
        finds("SC0132", &format!("{LOGIN}<VirtualHost *\n{door}>\n"));
        passes(&format!("{LOGIN}<Location /login\nAuthName A\n>\n{door}"));
        passes(&format!("AuthName A\n{LOGIN}{door}"));
        passes(&format!("{LOGIN}<LocationMatch ^/login\nAuthName A\n>\n{door}"));
        passes(&format!("{LOGIN}<Location /login\n<If true\nAuthName A\n>\n>\n{door}"));
        passes(&format!("{LOGIN}{}", door.replace("AuthName A", "AuthName %{req:Host}")));
        passes(&door.replace("/login?x", "/elsewhere"));
        passes(&format!("{LOGIN}{}", door.replace("/login?x", "https://login.example.com/login")));
        passes(&format!("{LOGIN}{}", door.replace("valid-user", "local")));
        passes(&format!("<VirtualHost a\n{LOGIN}>\n<VirtualHost b\n{door}>\n"));
    }

    #[test]
    fn a_login_is_not_behind_its_own_door() {
        let site = "<Location /\nAuthType Session\nSessionClusterLogin /login\nRequire valid-user\n>\n";
        let bare = "<Location /login\nSetHandler session-cluster-login\n>\n";
        finds("SC0130", &format!("{site}{bare}"));
        finds("SC0130", &format!("{bare}{}", site.replace("valid-user", "user alice")));
        passes(&format!("{site}{LOGIN}"));
        // The section for the whole site comes last, and takes the login's word back.
        finds("SC0130", &format!("{LOGIN}{site}"));
        passes(&format!("{site}{}", bare.replace("/login", "/log")));
        passes(&format!("{site}<Location /login\nSetHandler session-cluster-login\nSatisfy any\n>\n"));
    }

    #[test]
    fn a_page_for_those_who_logged_in_is_not_for_everybody() {
        for handler in ["session-cluster-admin", "session-cluster-mine"] {
            let page = |rest: &str| format!("<Location /page\nSetHandler {handler}\n{rest}\n>\n");
            finds("SC0131", &page(""));
            finds("SC0131", &page("Require all granted"));
            finds(
                "SC0131",
                &format!("<Directory /\nAllowOverride None\nRequire all granted\n>\n{}", page("")),
            );
            passes(&page("AuthType Session\nRequire valid-user"));
            passes(&page("Require all denied"));
            passes(&page("<RequireAll\nRequire all granted\nRequire user carol\n>"));
            passes(&format!("<Directory /\nAuthType Basic\nRequire user carol\n>\n{}", page("")));
            passes(&format!("<Directory /\nAllowOverride AuthConfig\n>\n{}", page("")));
            // What is not certain in one place takes nothing from what is in another.
            finds("SC0131", &format!("<Location /x\n<RequireAny\nRequire user x\n>\n>\n{}", page("")));
        }
        passes("<Location /page\nSetHandler session-cluster-whoami\n>\n");
    }

    #[test]
    fn paths_are_compared_by_segments() {
        let covers = |path: &str, at: &str| Location { path, body: &[], clouded: false }.covers(at);
        assert!(covers("/", "/x") && covers("/x", "/x") && covers("/x", "/x/y") && covers("/x/", "/x/y"));
        assert!(!covers("/x", "/xy") && !covers("/x/y", "/x") && !covers("/x/", "/x"));
    }
}
