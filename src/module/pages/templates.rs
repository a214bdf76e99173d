//! How pages become HTML: the templates that the module brings along, the administrator's own, and the texts in both.

use super::texts::default_text;
use crate::ffi::http_request::Lookup;
use crate::ffi::httpd::Request;
use crate::module::conf;
use crate::module::log;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, State};
use once_cell::sync::Lazy;
use std::fs::File;
use std::io::Read;

/// The largest template of an administrator, in bytes.
const MAX_TEMPLATE: u64 = 256 << 10;

static TEMPLATES: Lazy<Environment<'static>> = Lazy::new(|| {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    // A template that loops for ever is an error.
    templates.set_fuel(Some(1_000_000));
    templates.add_function("t", text);
    templates.add_global("style", include_str!("style.css"));
    for (name, source) in
        [("frame.html", include_str!("frame.html")), ("body.html", include_str!("body.html"))]
    {
        // What cannot be read here, a unit test reports.
        let _ = templates.add_template(name, source);
    }
    templates
});

/// `t("name")`: the text of that name, from `texts` if it is there.
fn text(state: &State<'_, '_>, name: &str) -> Value {
    let own = state.lookup("texts").and_then(|texts| texts.get_attr(name).ok());
    own.filter(|text| !text.is_undefined()).unwrap_or_else(|| default_text(name).into())
}

/// A page made of `context`: by the administrator's template if there is one and it can be used. Returns also whether
/// it is theirs.
pub(crate) fn render(r: Request<'_>, context: &Value) -> (String, bool) {
    if let Some(address) = conf::dir(r).template.get() {
        let own = source(r, address).and_then(|source| {
            TEMPLATES.render_named_str("template", &source, context).map_err(|e| format!("{e:#}"))
        });
        match own {
            Ok(page) => return (page, true),
            Err(complaint) => {
                log::BAD_TEMPLATE.say(r, || format!("the template {address} is not used: {complaint}"));
            }
        }
    }
    let page = TEMPLATES.get_template("frame.html").and_then(|frame| frame.render(context));
    (page.unwrap_or_else(|e| format!("<!DOCTYPE html><title>Error</title><p>{e}")), false)
}

/// The template at an address of this server, as httpd would choose it for this visitor and their language.
fn source(r: Request<'_>, address: &str) -> Result<String, String> {
    let lookup = Lookup::of(r, address).ok_or("httpd cannot look it up")?;
    let path = lookup.request().filename().ok_or("there is no such file")?;
    let file = File::open(path).map_err(|e| format!("{path}: {e}"))?;
    let mut text = String::new();
    file.take(MAX_TEMPLATE + 1).read_to_string(&mut text).map_err(|e| format!("{path}: {e}"))?;
    if text.len() as u64 > MAX_TEMPLATE { Err(format!("{path} is too large")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::super::texts::TEXTS;
    use super::*;
    use minijinja::context;

    fn page(context: Value) -> String {
        TEMPLATES.get_template("frame.html").unwrap().render(context).unwrap()
    }

    #[test]
    fn markup_in_a_name_stays_text() {
        let page = page(context! { page => "login", title => "sign_in", user => "<a href='x'>&\"é" });
        assert!(page.contains("value=\"&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;é\""), "{page}");
    }

    #[test]
    fn every_text_that_a_page_uses_exists_and_every_text_is_used() {
        let templates = [include_str!("frame.html"), include_str!("body.html")].concat();
        for (name, _) in TEXTS {
            let in_code = [include_str!("mod.rs"), include_str!("../operations/admin.rs")]
                .concat()
                .contains(&format!("\"{name}\""));
            assert!(templates.contains(&format!("t(\"{name}\")")) || in_code, "{name} is not used");
        }
        for used in templates.split("t(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(!default_text(used).is_empty(), "{used} is no text");
        }
    }

    #[test]
    fn texts_can_be_replaced_by_directive_and_by_template() {
        let context =
            context! { page => "signed_out", title => "signed_out", texts => context! { go_on => "Weiter" } };
        assert!(page(context.clone()).contains(">Weiter<"));
        let own = "{% set texts = {\"go_on\": \"Avanti\"} %}{% include \"body.html\" %}";
        assert!(TEMPLATES.render_named_str("template", own, context).unwrap().contains(">Avanti<"));
    }

    #[test]
    fn a_template_that_never_ends_is_an_error() {
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{{ b }}{% endfor %}{% endfor %}";
        assert!(TEMPLATES.render_named_str("template", endless, context! {}).is_err());
    }
}
