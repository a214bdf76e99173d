//! What can be done with an element of a page.

use super::driver::Chrome;
use serde_json::{Value, json};

/// What WebDriver calls an element in JSON.
const KEY: &str = "element-6066-11e4-a52e-4f735466cecf";

/// An element of the page that is shown; of no use once another page is.
pub(super) struct Element<'a> {
    chrome: &'a Chrome,
    id: String,
}

impl<'a> Element<'a> {
    /// The element that WebDriver answered.
    #[track_caller]
    pub(super) fn new(chrome: &'a Chrome, found: &Value) -> Self {
        Element { chrome, id: found[KEY].as_str().unwrap().to_owned() }
    }

    #[track_caller]
    fn get(&self, what: &str) -> Value {
        self.chrome.get(&format!("/element/{}/{what}", self.id))
    }

    #[track_caller]
    fn said(&self, what: &str) -> String {
        self.get(what).as_str().unwrap_or_default().to_owned()
    }

    /// Whether the page that it was in is not shown any more.
    pub(super) fn is_gone(&self) -> bool {
        let name = self.chrome.call("GET", &format!("/element/{}/name", self.id), Value::Null);
        name.is_err_and(|error| error.contains("stale element reference"))
    }

    #[track_caller]
    pub(super) fn click(&self) {
        self.chrome.post(&format!("/element/{}/click", self.id), json!({}));
    }

    /// Types into it, behind what is there.
    #[track_caller]
    pub(super) fn enter(&self, text: &str) {
        self.chrome.post(&format!("/element/{}/value", self.id), json!({ "text": text }));
    }

    /// Empties a field.
    #[track_caller]
    pub(super) fn clear(&self) {
        self.chrome.post(&format!("/element/{}/clear", self.id), json!({}));
    }

    #[track_caller]
    pub(super) fn text(&self) -> String {
        self.said("text")
    }

    /// An attribute, if it is there.
    #[track_caller]
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        self.get(&format!("attribute/{name}")).as_str().map(str::to_owned)
    }

    /// What is in a field.
    #[track_caller]
    pub(super) fn value(&self) -> String {
        self.said("property/value")
    }

    /// What a screen reader calls it.
    #[track_caller]
    pub(super) fn label(&self) -> String {
        self.said("computedlabel")
    }

    /// What a screen reader says it is.
    #[track_caller]
    pub(super) fn role(&self) -> String {
        self.said("computedrole")
    }
}
