//! A small WebDriver client (<https://www.w3.org/TR/webdriver2/>). One chromedriver serves all tests of the process;
//! each [`Chrome`] is a Chromium of its own with a fresh profile. Whatever happens, nothing of it outlives the tests.

use super::element::Element;
use harness::{Httpd, Signal, eventually};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start of Chromium, or a page, may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const TAB: &str = "\u{E004}";
pub(super) const ENTER: &str = "\u{E007}";

/// A directory for what tests leave behind, in cargo's target directory.
pub(super) fn artefacts(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let directory = target.join("test-artefacts").join(name);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A running chromedriver.
struct Driver {
    child: Child,
    url: String,
    agent: ureq::Agent,
    /// Home and temporary directory of chromedriver and its browsers.
    _home: TempDir,
}

impl Driver {
    /// The one that runs, or a new one. The last [`Chrome`] that ends stops it.
    #[track_caller]
    fn shared() -> Arc<Driver> {
        static RUNNING: Mutex<Weak<Driver>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let driver = Arc::new(Driver::start());
            *running = Arc::downgrade(&driver);
            driver
        })
    }

    #[track_caller]
    fn start() -> Driver {
        let home = tempfile::Builder::new().prefix("msc-chrome-").tempdir().unwrap();
        let said = home.path().join("said");
        let mut command = Command::new("chromedriver");
        // Its own process group: what it leaves behind can be killed without knowing each pid.
        command.arg("--port=0").process_group(0).stdin(Stdio::null());
        command.env("HOME", home.path()).env("TMPDIR", home.path());
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_CACHE_HOME").env_remove("DISPLAY");
        let out = File::create(&said).unwrap();
        command.stderr(out.try_clone().unwrap()).stdout(out);
        let child =
            command.spawn().expect("chromedriver is needed: apt-get install chromium chromium-driver");
        let config = ureq::config::Config::builder();
        let config = config.http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        // Kept at once: whatever happens below, it will be stopped.
        let mut driver = Driver { child, url: String::new(), agent: config.new_agent(), _home: home };
        let port = eventually("chromedriver to start", PATIENCE, || {
            let said = fs::read_to_string(&said).unwrap_or_default();
            assert!(driver.child.try_wait().unwrap().is_none(), "chromedriver: {said}");
            let (_, port) = said.split_once("started successfully on port ")?;
            Some(port.split_once('.')?.0.to_owned())
        });
        driver.url = format!("http://127.0.0.1:{port}");
        driver
    }

    /// One command; the error is what WebDriver says.
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.url);
        let answer = match method {
            "GET" => self.agent.get(url).call(),
            "DELETE" => self.agent.delete(url).call(),
            _ => self.agent.post(url).content_type("application/json").send(body.to_string()),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        // Pictures are large.
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string();
        let text = text.map_err(|error| error.to_string())?;
        let mut json: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        let value = json["value"].take();
        if answer.status().is_success() { Ok(value) } else { Err(format!("{method} {path}: {value}")) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        Signal::Kill.send(-i64::from(self.child.id()));
        let _ = self.child.wait();
    }
}

/// What kind of browser.
#[derive(Clone, Copy)]
pub(super) struct Options {
    /// Of the viewport, in CSS pixels. Narrow ones are phones.
    pub(super) width: u32,
    pub(super) dark: bool,
    /// Whether pages may run scripts. What tests run works in any case.
    pub(super) scripts: bool,
    /// Whether it knows the site by a name and not by 127.0.0.1, which browsers trust as they trust https.
    pub(super) by_name: bool,
    /// Whether it keeps pages that it left as they were, to show them again on the way back.
    pub(super) back_from_memory: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 1280, dark: false, scripts: true, by_name: false, back_from_memory: true }
    }
}

/// A Chromium with one window.
pub(super) struct Chrome {
    driver: Arc<Driver>,
    session: String,
    site: String,
}

impl Chrome {
    #[track_caller]
    pub(super) fn start(httpd: &Httpd) -> Chrome {
        Chrome::with(httpd, Options::default())
    }

    #[track_caller]
    pub(super) fn with(httpd: &Httpd, options: Options) -> Chrome {
        let driver = Driver::shared();
        let mut args = vec![
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-sync",
            "--disable-extensions",
            "--disable-component-update",
            "--disable-background-networking",
            // It meets nobody but the server under test.
            "--host-resolver-rules=MAP intranet.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ];
        if !options.back_from_memory {
            args.push("--disable-features=BackForwardCache");
        }
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            args.push("--no-sandbox");
        }
        let scripts = if options.scripts { 1 } else { 2 };
        let prefs = json!({
            "profile.managed_default_content_settings.javascript": scripts,
            "credentials_enable_service": false,
            "profile.password_manager_enabled": false,
            "profile.password_manager_leak_detection": false,
        });
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": args, "prefs": prefs},
        }}});
        let begun = driver.call("POST", "/session", &wanted).unwrap_or_else(|error| panic!("{error}"));
        let chrome = Chrome {
            session: begun["sessionId"].as_str().unwrap().to_owned(),
            site: match options.by_name {
                true => format!("http://intranet.test:{}", httpd.address().port()),
                false => format!("http://{}", httpd.address()),
            },
            driver,
        };
        let phone = options.width < 600;
        chrome.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": options.width, "height": 720, "deviceScaleFactor": 1, "mobile": phone}),
        );
        let scheme = if options.dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        chrome.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
        chrome
    }

    pub(super) fn call(&self, method: &str, path: &str, body: Value) -> Result<Value, String> {
        self.driver.call(method, &format!("/session/{}{path}", self.session), &body)
    }

    #[track_caller]
    pub(super) fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub(super) fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, body).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    fn devtools(&self, command: &str, params: Value) {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": params}));
    }

    /// Goes to an address of the site, as if typed.
    #[track_caller]
    pub(super) fn open(&self, path: &str) {
        self.open_elsewhere(&format!("{}{path}", self.site));
    }

    /// Goes to any address on this machine.
    #[track_caller]
    pub(super) fn open_elsewhere(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    /// Does what leads to another page, perhaps at the same address, and waits for that.
    #[track_caller]
    pub(super) fn leave(&self, by: impl FnOnce()) {
        let old = self.find("html");
        by();
        eventually("another page", Duration::from_secs(10), || old.is_gone().then_some(()));
    }

    /// Where it is: path and query, and the whole address where that is another site's.
    #[track_caller]
    pub(super) fn address(&self) -> String {
        let url = self.get("/url").as_str().unwrap().to_owned();
        url.strip_prefix(&self.site).map(str::to_owned).unwrap_or(url)
    }

    /// Waits until it is at exactly this path and query.
    #[track_caller]
    pub(super) fn arrive(&self, path: &str) {
        eventually(&format!("{path}, at {}", self.address()), Duration::from_secs(10), || {
            (self.address() == path).then_some(())
        });
    }

    #[track_caller]
    pub(super) fn back(&self) {
        self.post("/back", json!({}));
    }

    #[track_caller]
    pub(super) fn reload(&self) {
        self.post("/refresh", json!({}));
    }

    /// The one element that a CSS selector names; the test fails if there are more or none.
    #[track_caller]
    pub(super) fn find(&self, css: &str) -> Element<'_> {
        let mut all = self.all(css);
        assert_eq!(all.len(), 1, "{css} at {}: {}", self.address(), self.text());
        all.remove(0)
    }

    #[track_caller]
    pub(super) fn all(&self, css: &str) -> Vec<Element<'_>> {
        let found = self.post("/elements", json!({"using": "css selector", "value": css}));
        found.as_array().unwrap().iter().map(|element| self.element(element)).collect()
    }

    /// The element that has the focus.
    #[track_caller]
    pub(super) fn active(&self) -> Element<'_> {
        self.element(&self.get("/element/active"))
    }

    fn element(&self, found: &Value) -> Element<'_> {
        Element::new(self, found)
    }

    /// The visible text of the page.
    #[track_caller]
    pub(super) fn text(&self) -> String {
        self.script("return document.body.innerText", &[]).as_str().unwrap_or_default().to_owned()
    }

    /// Presses keys one after the other, wherever the focus is.
    #[track_caller]
    pub(super) fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    /// Runs the body of a function in the page, and waits for a promise. The page's policy and settings do not bind it.
    #[track_caller]
    pub(super) fn script(&self, body: &str, args: &[Value]) -> Value {
        self.post("/execute/sync", json!({"script": body, "args": args}))
    }

    /// The value of a cookie.
    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let cookie = self.call("GET", &format!("/cookie/{name}"), Value::Null).ok()?;
        cookie["value"].as_str().map(str::to_owned)
    }

    /// Keeps a picture of the window as `NAME.png`.
    #[track_caller]
    pub(super) fn screenshot(&self, name: &str) {
        let picture = self.get("/screenshot");
        let png = data_encoding::BASE64.decode(picture.as_str().unwrap().as_bytes()).unwrap();
        fs::write(artefacts("browser").join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
            if let Some(png) = self
                .call("GET", "/screenshot", Value::Null)
                .ok()
                .and_then(|picture| data_encoding::BASE64.decode(picture.as_str()?.as_bytes()).ok())
            {
                let _ = fs::write(artefacts("browser").join(format!("failed-{test}.png")), png);
            }
        }
        // What does not end by this ends with chromedriver, whose process group it shares.
        let _ = self.call("DELETE", "", Value::Null);
    }
}
