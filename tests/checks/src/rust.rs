//! What a Rust file says: the paths that it names, its texts, the attributes that allow something. Read with `syn`, and
//! the inside of macros token by token. Whether a place is test code is said with each: a rule decides whether it
//! looks there.

use crate::tree::{Finding, Tree};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Lit, Meta, Token, UseTree};

/// A module's path from the root of the crate: `["store", "l1"]`. The root itself is empty.
pub(crate) type ModulePath = Vec<String>;

/// A path as somebody wrote it.
pub(crate) struct Written {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// The module in which it stands, inline modules included.
    pub(crate) at: ModulePath,
    pub(crate) test: bool,
}

/// A text, or the name of a method that is called.
pub(crate) struct Said {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) test: bool,
}

/// One file, read.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) module: ModulePath,
    /// Modules that this file declares (`mod x;` and `mod x { }`).
    pub(crate) declares: BTreeSet<ModulePath>,
    /// Those of them that are compiled for tests alone.
    pub(crate) tests: BTreeSet<ModulePath>,
    /// Each `use`, one for every name that it brings in. A `*` is left out: the path ends before it.
    pub(crate) uses: Vec<Written>,
    /// What each `use` calls the thing, in the module where it stands: `(module, name)` to the path as written.
    pub(crate) names: BTreeMap<(ModulePath, String), Vec<String>>,
    /// Each path of two segments or more that is no `use`.
    pub(crate) paths: Vec<Written>,
    pub(crate) texts: Vec<Said>,
    /// Texts for C, such as the names of directives.
    pub(crate) c_texts: Vec<Said>,
    /// Methods that are called.
    pub(crate) methods: Vec<Said>,
    /// Lines of attributes that allow unsafe code, with whether they stand for the whole file.
    pub(crate) allows_unsafe: Vec<(usize, bool)>,
    /// Lines with the word `unsafe` as code, attributes included.
    pub(crate) unsafe_words: BTreeSet<usize>,
}

/// Reads all Rust files under a directory. What cannot be read is a finding, not a gap.
pub(crate) fn sources(tree: &Tree, under: &str) -> (Vec<Source>, Vec<Finding>) {
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    for (file, text) in tree.files().filter(|(file, _)| file.starts_with(under) && file.ends_with(".rs")) {
        match source(file, text) {
            Ok(source) => sources.push(source),
            Err(e) => {
                findings.push(Finding::new(file, e.span().start().line, format!("not read as Rust: {e}")))
            }
        }
    }
    // A file is test code when the module that it is, or one around it, is declared for tests alone.
    let tests: BTreeSet<ModulePath> =
        sources.iter().flat_map(|source| source.tests.iter().cloned()).collect();
    for source in &mut sources {
        if (0..=source.module.len()).any(|n| tests.contains(&source.module[..n])) {
            source.uses.iter_mut().chain(&mut source.paths).for_each(|written| written.test = true);
            source.texts.iter_mut().chain(&mut source.c_texts).for_each(|said| said.test = true);
            source.methods.iter_mut().for_each(|said| said.test = true);
        }
    }
    (sources, findings)
}

fn source(file: &str, text: &str) -> syn::Result<Source> {
    let parsed = syn::parse_file(text)?;
    let module = module_of(file);
    let mut reader = Reader {
        at: module.clone(),
        test: parsed.attrs.iter().any(is_for_tests),
        source: Source { file: file.to_owned(), module, ..Source::default() },
    };
    if reader.test {
        reader.source.tests.insert(reader.at.clone());
    }
    reader.visit_file(&parsed);
    unsafe_words(text.parse()?, &mut reader.source.unsafe_words);
    Ok(reader.source)
}

/// `src/store/l1/mod.rs` is `store::l1`. Files outside of `src` get a path that no `use` can name.
fn module_of(file: &str) -> ModulePath {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_prefix("src/").unwrap_or(path);
    let mut path: ModulePath = path.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
        path.pop();
    }
    path
}

struct Reader {
    at: ModulePath,
    test: bool,
    source: Source,
}

impl Reader {
    fn within(&mut self, attributes: &[Attribute], visit: impl FnOnce(&mut Self)) {
        let outside = self.test;
        self.test |= attributes.iter().any(is_for_tests);
        visit(self);
        self.test = outside;
    }

    fn said(&self, line: usize, text: String) -> Said {
        Said { line, text, test: self.test }
    }

    fn written(&self, line: usize, segments: Vec<String>) -> Written {
        Written { line, segments, at: self.at.clone(), test: self.test }
    }

    fn literal(&mut self, lit: &Lit) {
        let line = lit.span().start().line;
        match lit {
            Lit::Str(text) => self.source.texts.push(self.said(line, text.value())),
            Lit::CStr(text) => {
                let text = text.value().to_string_lossy().into_owned();
                self.source.c_texts.push(self.said(line, text));
            }
            _ => {}
        }
    }

    /// The leaves of a `use`: `a::{b, c as d, e::*}` is `a::b`, `a::c` and `a::e`.
    fn leaves(&mut self, before: &[String], tree: &UseTree) {
        let line = tree.span().start().line;
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.leaves(&with(path.ident.to_string()), &path.tree),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.leaves(before, tree)),
            UseTree::Glob(_) => (before.to_vec(), None),
            UseTree::Name(name) if name.ident == "self" => (before.to_vec(), before.last().cloned()),
            UseTree::Name(name) => (with(name.ident.to_string()), Some(name.ident.to_string())),
            UseTree::Rename(new) if new.ident == "self" => (before.to_vec(), Some(new.rename.to_string())),
            UseTree::Rename(new) => (with(new.ident.to_string()), Some(new.rename.to_string())),
        };
        if let Some(name) = name {
            self.source.names.insert((self.at.clone(), name), path.clone());
        }
        let written = self.written(line, path);
        self.source.uses.push(written);
    }

    /// The inside of a macro: paths and texts, whatever the macro makes of them.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let line = token.span().start().line;
            at += 1;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => self.literal(&Lit::new(literal.clone())),
                TokenTree::Ident(first) => {
                    let mut segments = vec![first.to_string()];
                    while is_colon(at)
                        && is_colon(at + 1)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 2)
                    {
                        segments.push(next.to_string());
                        at += 3;
                    }
                    if segments.len() > 1 {
                        self.source.paths.push(self.written(line, segments));
                    }
                }
                TokenTree::Punct(p) if p.as_char() == '.' => {
                    if let Some(TokenTree::Ident(method)) = tokens.get(at) {
                        self.source.methods.push(self.said(line, method.to_string()));
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        self.within(attributes(item), |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Fn(it) => &it.attrs,
            ImplItem::Const(it) => &it.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        self.within(attributes, |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.at.push(item.ident.to_string());
        self.source.declares.insert(self.at.clone());
        if self.test {
            self.source.tests.insert(self.at.clone());
        }
        visit::visit_item_mod(self, item);
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // `use ::name` is a crate, whatever a module is called.
        if item.leading_colon.is_none() {
            self.leaves(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let line = path.span().start().line;
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.source.paths.push(self.written(line, segments));
        }
        visit::visit_path(self, path);
    }

    /// `pub(super)` says who may look, not whom this file knows.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let said = self.said(call.method.span().start().line, call.method.to_string());
        self.source.methods.push(said);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_lit(&mut self, lit: &'ast Lit) {
        self.literal(lit);
    }

    /// Comments are attributes too, and no texts of the program.
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        let words = words(list.tokens.clone());
        let lifts = ["allow", "warn", "expect"];
        let head = list.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let is_lifted = lifts.contains(&head.as_str())
            || (head == "cfg_attr" && words.iter().any(|word| lifts.contains(&word.as_str())));
        if is_lifted && words.iter().any(|word| word == "unsafe_code") {
            let inner = matches!(attribute.style, syn::AttrStyle::Inner(_)) && self.at == self.source.module;
            self.source.allows_unsafe.push((attribute.span().start().line, inner));
        }
    }
}

/// Every identifier in there, at any depth.
fn words(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) => found.push(word.to_string()),
            TokenTree::Group(group) => found.extend(words(group.stream())),
            _ => {}
        }
    }
    found
}

fn unsafe_words(tokens: TokenStream, lines: &mut BTreeSet<usize>) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word == "unsafe" => drop(lines.insert(word.span().start().line)),
            TokenTree::Group(group) => unsafe_words(group.stream(), lines),
            _ => {}
        }
    }
}

/// Whether an attribute leaves what it stands at to tests alone: `cfg(test)`, `cfg(all(test, ...))`.
fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
}

fn needs_test(predicate: &Meta) -> bool {
    let Meta::List(list) = predicate else { return predicate.path().is_ident("test") };
    let Ok(inner) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else {
        return false;
    };
    match list.path.get_ident().map(ToString::to_string).as_deref() {
        Some("all") => inner.iter().any(needs_test),
        Some("any") => inner.iter().all(needs_test),
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Source {
        source("src/store/l1/mod.rs", text).unwrap()
    }

    fn joined(written: &[Written]) -> Vec<String> {
        written.iter().map(|written| written.segments.join("::")).collect()
    }

    #[test]
    fn a_file_is_the_module_that_rust_makes_of_it() {
        assert_eq!(module_of("src/store/l1/mod.rs"), ["store", "l1"]);
        assert_eq!(module_of("src/session/cookie.rs"), ["session", "cookie"]);
        assert!(module_of("src/lib.rs").is_empty());
    }

    #[test]
    fn a_use_is_read_down_to_its_leaves() {
        let source = read("use crate::{a::{self, b as c}, d::*};\npub use slot::Slot;");
        assert_eq!(joined(&source.uses), ["crate::a", "crate::a::b", "crate::d", "slot::Slot"]);
        assert_eq!(source.names[&(source.module.clone(), "c".into())], ["crate", "a", "b"]);
        assert_eq!(source.uses[3].line, 2);
    }

    #[test]
    fn a_path_is_found_in_code_in_types_and_in_macros() {
        let source = read("fn f(a: super::A) { crate::b::c(); println!(\"{}\", vec![super::d::E]); }");
        assert_eq!(joined(&source.paths), ["super::A", "crate::b::c", "super::d::E"]);
    }

    #[test]
    fn visibility_and_comments_name_nothing() {
        let source = read("//! crate::a::b \"SC0001\"\n/// See crate::c.\npub(in crate::d) fn f() {}");
        assert!(source.paths.is_empty() && source.uses.is_empty() && source.texts.is_empty());
    }

    #[test]
    fn code_for_tests_is_told_from_the_rest() {
        let source = read(
            "use crate::a;\n#[cfg(test)]\nmod tests { use super::*; }\n#[cfg(all(test, not(loom)))]\nuse crate::b;\n\
             #[cfg(not(test))]\nuse crate::c;",
        );
        let tests: Vec<bool> = source.uses.iter().map(|written| written.test).collect();
        assert_eq!(tests, [false, true, true, false]);
    }

    #[test]
    fn files_of_a_test_module_are_test_code() {
        let tree = Tree::of(&[
            ("src/a/mod.rs", "#[cfg(test)]\nmod tests;"),
            ("src/a/tests/mod.rs", "mod more;"),
            ("src/a/tests/more.rs", "use crate::b::C;"),
        ]);
        let (sources, findings) = sources(&tree, "src/");
        assert!(findings.is_empty());
        assert!(sources.iter().flat_map(|source| &source.uses).all(|written| written.test));
    }

    #[test]
    fn texts_and_methods_are_found_in_macros_too() {
        let source = read("fn f() { g(c\"Name\"); format!(\"SC0001: {}\", at.elapsed()); at.elapsed(); }");
        assert_eq!(source.texts[0].text, "SC0001: {}");
        assert_eq!(source.c_texts[0].text, "Name");
        assert_eq!(source.methods.iter().filter(|said| said.text == "elapsed").count(), 2);
    }

    #[test]
    fn what_is_no_rust_is_a_finding() {
        let (_, findings) = sources(&Tree::of(&[("src/a.rs", "fn f( {")]), "src/");
        assert_eq!(findings.len(), 1);
    }
}
