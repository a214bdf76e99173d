//! What a browser says about a request of its own accord: whether a post comes from another site, and whether the
//! answer will be shown as a page or handed to a script. Needs no token, so static forms and scripts work.

/// Whether a post comes from a page of another site and must be refused. The arguments are the request's header
/// fields; an empty one counts as absent.
///
/// The rules are those of Go's `http.CrossOriginProtection`: `Sec-Fetch-Site` decides if the browser sent it, else
/// `Origin` must name the host that was asked. A client that sends neither is not a browser (all have sent
/// `Origin` with posts since 2020), and so carries no cookies that a foreign page could borrow.
/// An `http:` page passes for the `https:` site of the same host where `Sec-Fetch-Site` is missing.
#[must_use]
pub fn cross_site_post(sec_fetch_site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    if let Some(site) = sec_fetch_site.filter(|site| !site.is_empty()) {
        return !matches!(site, "same-origin" | "none");
    }
    match origin.filter(|origin| !origin.is_empty()) {
        Some(origin) => !host.is_some_and(|host| names_host(origin, host)),
        None => false,
    }
}

/// The kind of client that an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A browser that loads a page: it can be sent to the login form and come back.
    Page,
    /// A browser that sends a form and shows what comes of it: only its body can bring it back.
    Form,
    /// A script or another program: it wants a status.
    Program,
}

/// The kind of client that the answer to a request is for. The arguments are the request's method and header fields.
#[must_use]
pub fn reader(
    method: &str,
    sec_fetch_mode: Option<&str>,
    accept: Option<&str>,
    requested_with: Option<&str>,
) -> Reader {
    let navigates = match sec_fetch_mode {
        Some(mode) => mode == "navigate",
        None => requested_with.is_none() && accept.is_some_and(accepts_html),
    };
    match method {
        "GET" | "HEAD" if navigates => Reader::Page,
        "POST" if navigates => Reader::Form,
        _ => Reader::Program,
    }
}

fn accepts_html(accept: &str) -> bool {
    let media_type = |range: &str| range.split(';').next().map(str::trim).map(str::to_ascii_lowercase);
    accept.split(',').any(|range| media_type(range).as_deref() == Some("text/html"))
}

/// Whether a serialized origin (RFC 6454) is of the host and port that a `Host` field names.
fn names_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    match (host_and_port(authority, default_port), host_and_port(host, default_port)) {
        (Some((a, a_port)), Some((b, b_port))) => a.eq_ignore_ascii_case(b) && a_port == b_port,
        _ => false,
    }
}

/// Splits `host`, `host:port` or `[address]:port`; `None` without a host, or with a port that is no number.
fn host_and_port(authority: &str, default_port: u16) -> Option<(&str, u16)> {
    let end_of_address = authority.find(']').map_or(0, |end| end + 1);
    let (host, port) = match authority.get(end_of_address..)?.find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at_checked(end_of_address + colon)?;
            (host, port.strip_prefix(':')?)
        }
        None => (authority, ""),
    };
    if host.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = if port.is_empty() { default_port } else { port.parse().ok()? };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: Option<&str> = Some("www.example.com");

    #[test]
    fn the_browsers_own_word_decides_whatever_origin_says() {
        let foreign = Some("https://evil.example");
        for site in ["same-origin", "none"] {
            assert!(!cross_site_post(Some(site), foreign, HOST), "{site}");
        }
        for site in ["cross-site", "same-site", "Same-Origin", "same-origin, cross-site", "?"] {
            assert!(cross_site_post(Some(site), Some("https://www.example.com"), HOST), "{site}");
        }
    }

    #[test]
    fn an_older_browsers_origin_must_be_the_host_that_was_asked() {
        let same = [
            ("https://www.example.com", "www.example.com"),
            ("https://WWW.example.com", "www.EXAMPLE.com:443"),
            ("http://www.example.com", "www.example.com:80"),
            ("http://www.example.com:80", "www.example.com"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("https://[::1]", "[::1]:443"),
        ];
        for (origin, host) in same {
            assert!(!cross_site_post(None, Some(origin), Some(host)), "{origin} at {host}");
        }
        let foreign = [
            ("null", "www.example.com"),
            ("null", "null"),
            ("https://evil.example", "www.example.com"),
            ("https://www.example.com.evil.example", "www.example.com"),
            ("https://www.example.com@evil.example", "www.example.com"),
            ("https://www.example.com/", "www.example.com"),
            ("https://www.example.com https://evil.example", "www.example.com"),
            ("https://www.example.com:8443", "www.example.com"),
            ("http://www.example.com:443", "www.example.com"),
            ("https://www.example.com:+443", "www.example.com"),
            ("https://www.example.com:65979", "www.example.com"),
            ("https://[::1]:1", "[::1]:2"),
            ("https://[::1]", "[::2]"),
            ("chrome-extension://www.example.com", "www.example.com"),
            ("www.example.com", "www.example.com"),
            ("https://", ""),
            ("https://:443", ":443"),
        ];
        for (origin, host) in foreign {
            assert!(cross_site_post(None, Some(origin), Some(host)), "{origin} at {host}");
        }
        assert!(cross_site_post(None, Some("https://www.example.com"), None));
    }

    #[test]
    fn a_client_that_is_no_browser_may_post() {
        assert!(!cross_site_post(None, None, HOST));
        assert!(!cross_site_post(None, None, None));
        assert!(!cross_site_post(Some(""), Some(""), HOST));
        assert!(cross_site_post(Some(""), Some("https://evil.example"), HOST));
    }

    #[test]
    fn a_navigation_wants_a_page_and_a_script_does_not() {
        let html = Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        assert_eq!(Reader::Page, reader("GET", Some("navigate"), None, None));
        assert_eq!(Reader::Page, reader("HEAD", Some("navigate"), Some("*/*"), Some("XMLHttpRequest")));
        for mode in ["cors", "no-cors", "same-origin", "websocket", ""] {
            assert_eq!(Reader::Program, reader("GET", Some(mode), html, None), "{mode}");
        }
        assert_eq!(Reader::Page, reader("GET", None, html, None));
        assert_eq!(Reader::Page, reader("GET", None, Some("application/json , Text/HTML ;q=0.5"), None));
        assert_eq!(Reader::Program, reader("GET", None, html, Some("XMLHttpRequest")));
        for accept in [None, Some("*/*"), Some("application/json"), Some("text/html-ish"), Some("")] {
            assert_eq!(Reader::Program, reader("GET", None, accept, None), "{accept:?}");
        }
        for method in ["PUT", "OPTIONS", "get"] {
            assert_eq!(Reader::Program, reader(method, Some("navigate"), html, None), "{method}");
        }
        assert_eq!(Reader::Form, reader("POST", Some("navigate"), None, None));
        assert_eq!(Reader::Form, reader("POST", None, html, None));
        assert_eq!(Reader::Program, reader("POST", Some("cors"), html, None));
    }

    proptest! {
        #[test]
        fn an_origin_passes_at_its_own_host_and_at_no_other(
            host in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", other in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", port in 1..=u16::MAX,
        ) {
            let (origin, here) = (format!("http://{host}:{port}"), format!("{host}:{port}"));
            prop_assert!(!cross_site_post(None, Some(&origin), Some(&here)));
            let there = format!("{other}:{port}");
            prop_assert_eq!(cross_site_post(None, Some(&origin), Some(&there)), host != other);
            let next_port = format!("{host}:{}", port.checked_add(1).unwrap_or(1));
            prop_assert!(cross_site_post(None, Some(&origin), Some(&next_port)));
        }

        #[test]
        fn noise_is_never_taken_for_this_host(origin in "\\PC{0,40}") {
            prop_assume!(!origin.is_empty());
            prop_assert!(cross_site_post(None, Some(&origin), HOST));
        }
    }
}
