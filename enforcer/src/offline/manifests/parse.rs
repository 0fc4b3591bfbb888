//! The text of a manifest file → objects, and complaints about the rest.
//!
//! Pure. A file is YAML or JSON, of several documents or one; a document is an object or a list of some. Each is read by
//! itself, so that a broken one takes nothing else with it.

use super::{Complaint, Effect, Kind, Object, Origin};
use proto::model::ClusterName;
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Error, NonFiniteFloatPolicy, Options};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The most events, nodes and bytes of text of one document (P26). A list of a hundred thousand pods, as an API server
/// prints them, has about twenty million nodes.
const MAX_EVENTS: usize = 64_000_000;
const MAX_NODES: usize = 32_000_000;
const MAX_TEXT_BYTES: usize = super::MAX_FILE_BYTES as usize;

/// The most that may stand behind the anchors of one document, and that its aliases may repeat.
const MAX_ALIASED: usize = 100_000;

/// How deep a document may be nested (P26). No object of Kubernetes that a policy can see comes near it.
const MAX_DEPTH: usize = 100;

/// How deep lists may be in lists: those of `kubectl get` are in none.
const MAX_LISTS: usize = 4;

/// What a file holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Parsed {
    /// Its objects, in order.
    pub objects: Vec<Object>,
    /// What was left out of it, or is odd.
    pub complaints: Vec<Complaint>,
}

/// Reads the text of `file`, in the folder of `cluster`.
pub fn file(cluster: &ClusterName, file: Arc<Path>, bytes: &[u8]) -> Parsed {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader {
        cluster,
        file,
        document: 0,
        line: 1,
        lacks_version: false,
        parsed: Parsed::default(),
    };
    if let Some(documents) = json(bytes) {
        for document in documents {
            reader.document += 1;
            reader.take(document, None, 0);
        }
        return reader.parsed;
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        reader.document = 1;
        reader.complain(
            "",
            "UTF-16, which is not read: save this file as UTF-8; nothing of it is judged, and no policy in it is in force"
                .to_owned(),
        );
        return reader.parsed;
    }
    let mut counted = 0;
    for range in documents(bytes) {
        reader.document += 1;
        let begins = range.start + content(&bytes[range.clone()]).unwrap_or(0);
        reader.line += lines(&bytes[counted..begins]);
        counted = begins;
        match yaml(bytes, range) {
            Ok(Yaml { value, doubled }) => {
                if let Some(reason) = doubled {
                    reader.taken_otherwise("", "", format!("{reason}: the last one counts"));
                }
                reader.take(value, None, 0);
            }
            Err(reason) => reader.complain(
                "",
                format!("{reason}; nothing of this document is judged, and no policy in it is in force"),
            ),
        }
    }
    reader.parsed
}

/// The objects of a cluster, each kind, namespace and name once: the last one counts, as if all were applied in turn.
pub fn once(cluster: &ClusterName, objects: Vec<Object>, complaints: &mut Vec<Complaint>) -> Vec<Arc<Object>> {
    let mut kept: Vec<Arc<Object>> = Vec::with_capacity(objects.len());
    let mut places = BTreeMap::new();
    for object in objects.into_iter().map(Arc::new) {
        let key = (object.kind, object.namespace.clone(), object.name.clone());
        let place = *places.entry(key).or_insert(kept.len());
        match kept.get_mut(place) {
            None => kept.push(object),
            Some(earlier) => {
                let Origin { file, document, .. } = &earlier.origin;
                let reason = format!(
                    "the same object stands in {}, document {document}: the last one counts",
                    file.display()
                );
                complaints.push(Complaint {
                    effect: Effect::TakenOtherwise,
                    ..object.complaint(cluster, "", reason)
                });
                *earlier = object;
            }
        }
    }
    kept
}

/// All documents of a JSON text; `None`: it is no JSON.
fn json(bytes: &[u8]) -> Option<Vec<Value>> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if !b"{[".contains(first) {
        return None;
    }
    serde_json::Deserializer::from_slice(bytes)
        .into_iter()
        .collect::<Result<_, _>>()
        .ok()
}

/// Where the documents of a YAML text are, without those that have no content. A line that begins with `---` begins a
/// document, whatever it stands in.
fn documents(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let rest = line.strip_prefix(b"---");
        if at > 0 && rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace)) {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let ranges = starts.iter().zip(ends).map(|(start, end)| *start..end);
    ranges
        .filter(|range| content(&bytes[range.clone()]).is_some())
        .collect()
}

/// Where the first line is that is more than comments, directives and marks; `None`: there is none.
fn content(document: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in document.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        let text = text.strip_prefix(b"---").unwrap_or(text).trim_ascii();
        if !matches!(text, b"" | b"...") && !text.starts_with(b"#") && !text.starts_with(b"%") {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// A document of YAML.
struct Yaml {
    value: Value,
    /// Why it is none by the letter: a key stands in it twice.
    doubled: Option<String>,
}

/// # Errors
/// What is wrong, with the line of the file.
fn yaml(bytes: &[u8], range: Range<usize>) -> Result<Yaml, String> {
    let (before, document) = (&bytes[..range.start], &bytes[range]);
    let text = std::str::from_utf8(document).map_err(|error| format!("no UTF-8: {error}"))?;
    let error = match parse(text, DuplicateKeyPolicy::Error) {
        Ok(value) => return Ok(Yaml { value, doubled: None }),
        Err(error @ Error::Budget { .. }) => return Err(in_words(error.to_string())),
        Err(error) => error,
    };
    // Again, from its place in the file, so that the message names the line there.
    let placed = format!("{}{text}", "\n".repeat(lines(before)));
    let reason =
        parse(&placed, DuplicateKeyPolicy::Error).map_or_else(|placed| placed.to_string(), |_| error.to_string());
    match error {
        Error::DuplicateMappingKey { .. } => match parse(text, DuplicateKeyPolicy::LastWins) {
            Ok(value) => Ok(Yaml {
                value,
                doubled: Some(reason),
            }),
            Err(_) => Err(in_words(reason)),
        },
        _ => Err(in_words(reason)),
    }
}

/// What the parser says, but of aliases beyond the limits, of which it gives only the name of a counter.
fn in_words(said: String) -> String {
    if said.contains("AnchorEvents") || said.contains("alias replay") {
        return format!(
            "its anchors (&) hold, or its aliases (*) repeat, more than {MAX_ALIASED} pieces: write out what they stand for"
        );
    }
    said
}

/// Takes the rules out of a policy's spec, and leaves whom it isolates in which direction (S5).
fn void_rules(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    let has_egress = spec
        .remove("egress")
        .is_some_and(|rules| rules.as_array().is_none_or(|rules| !rules.is_empty()));
    spec.remove("ingress");
    let types = spec.entry("policyTypes").or_insert(Value::Null);
    if types.as_array().is_none_or(Vec::is_empty) {
        let both = ["Ingress", "Egress"];
        *types = both[..if has_egress { 2 } else { 1 }].into();
    }
}

/// How many lines end in a text.
fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Value, Error> {
    serde_saphyr::from_str_with_options(text, options(duplicate_keys))
}

fn options(duplicate_keys: DuplicateKeyPolicy) -> Options {
    let budget = serde_saphyr::budget! {
        max_events: MAX_EVENTS,
        max_nodes: MAX_NODES,
        max_total_scalar_bytes: MAX_TEXT_BYTES,
        max_recorded_anchor_events: MAX_ALIASED,
        max_depth: MAX_DEPTH,
        flow_nesting_limit: MAX_DEPTH,
    };
    serde_saphyr::options! {
        budget: budget,
        duplicate_keys: duplicate_keys,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED },
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        // A namespace that is called y is called y (YAML 1.2), though kubectl takes that for true and then refuses it.
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Takes the documents of one file.
struct Reader<'a> {
    cluster: &'a ClusterName,
    file: Arc<Path>,
    document: usize,
    /// The line on which its content begins.
    line: usize,
    /// Whether an object without `apiVersion` was told of: where one lacks it, the others of the file mostly do.
    lacks_version: bool,
    parsed: Parsed,
}

/// What the items of a list inherit from it.
#[derive(Clone, Copy)]
struct Inherited<'a> {
    kind: &'a str,
    api_version: &'a Value,
}

impl Reader<'_> {
    fn complain(&mut self, object: &str, reason: String) {
        self.complain_of(object, "", reason);
    }

    fn complain_of(&mut self, object: &str, field: &str, reason: String) {
        self.say(Effect::LeftOut, object, field, reason);
    }

    fn taken_otherwise(&mut self, object: &str, field: &str, reason: String) {
        self.say(Effect::TakenOtherwise, object, field, reason);
    }

    fn say(&mut self, effect: Effect, object: &str, field: &str, reason: String) {
        self.parsed.complaints.push(Complaint {
            cluster: Some(self.cluster.clone()),
            file: self.file.clone(),
            document: Some(self.document),
            line: self.line,
            object: object.to_owned(),
            field: field.to_owned(),
            reason,
            effect,
        });
    }

    /// Takes what a document is, or an item of a list in it.
    fn take(&mut self, mut value: Value, inherited: Option<Inherited<'_>>, lists: usize) {
        if value.is_null() {
            return;
        }
        if !value.is_object() {
            return self.complain(
                "",
                "no Kubernetes object, but something else; it is left out".to_owned(),
            );
        }
        if let Some(Inherited { kind, api_version }) = inherited
            && value["kind"].is_null()
        {
            value["kind"] = kind.into();
            value["apiVersion"] = api_version.clone();
        }
        let kind = match &value["kind"] {
            Value::String(kind) if !kind.is_empty() => kind.clone(),
            _ => {
                return self.complain(
                    "",
                    "no kind, so this is no Kubernetes object; it is left out".to_owned(),
                );
            }
        };
        match Kind::ALL.into_iter().find(|known| known.as_str() == kind) {
            Some(kind) => self.take_object(kind, value),
            None if kind.ends_with("List") => self.take_list(&kind, value, lists),
            None => {
                let meant = Kind::ALL
                    .into_iter()
                    .find(|known| known.as_str().eq_ignore_ascii_case(&kind));
                if let Some(meant) = meant {
                    self.complain(
                        "",
                        format!("kind {kind:?} is none: write {meant}; the object is left out"),
                    );
                }
            }
        }
    }

    /// The items of a list inherit its kind, as those of the API's own lists do.
    fn take_list(&mut self, kind: &str, mut list: Value, lists: usize) {
        if lists == MAX_LISTS {
            return self.complain(
                "",
                format!("lists in lists more than {MAX_LISTS} deep; the innermost are left out"),
            );
        }
        let api_version = list["apiVersion"].take();
        let items = match list["items"].take() {
            Value::Array(items) => items,
            Value::Null => return,
            _ => return self.complain_of(kind, "items", "no list; nothing of it is judged".to_owned()),
        };
        let kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
        let inherited = kind.map(|kind| Inherited {
            kind,
            api_version: &api_version,
        });
        for item in items {
            self.take(item, inherited, lists + 1);
        }
    }

    fn take_object(&mut self, kind: Kind, mut raw: Value) {
        let title = |name: &str| format!("{kind} {name}");
        if !self.is_of_api(kind, &mut raw) {
            return;
        }
        if !raw["metadata"].is_object() {
            return self.complain(
                kind.as_str(),
                "no metadata, so it has no name; it is left out".to_owned(),
            );
        }
        let Some(name) = self
            .text(kind.as_str(), "name", &raw)
            .or_else(|| self.generated(kind, &raw))
        else {
            return self.complain_of(
                kind.as_str(),
                "metadata.name",
                "missing: no API server takes such an object; it is left out".to_owned(),
            );
        };
        raw["metadata"]["name"] = name.clone().into();
        let mut namespace = String::new();
        if kind.is_namespaced() {
            let written = self.text(&title(&name), "namespace", &raw);
            namespace = written.unwrap_or_else(|| "default".to_owned());
            raw["metadata"]["namespace"] = namespace.clone().into();
        }
        self.parsed.objects.push(Object {
            kind,
            namespace: namespace.into(),
            name: name.into(),
            raw,
            origin: Origin {
                file: self.file.clone(),
                document: self.document,
                line: self.line,
            },
        });
    }

    /// Whether the kind is the one that is meant, and not another API's of the same name. What a version that does not exist
    /// says is not known: of a policy the isolation stands and the rules are void, another object is taken at its word.
    fn is_of_api(&mut self, kind: Kind, raw: &mut Value) -> bool {
        let api_version = raw["apiVersion"].as_str().unwrap_or_default().to_owned();
        let expected = kind.api_version();
        if api_version == expected {
            return true;
        }
        let name = raw["metadata"]["name"].as_str().unwrap_or_default();
        let title = format!("{kind} {name}");
        if raw["apiVersion"].is_null() {
            if !std::mem::replace(&mut self.lacks_version, true) {
                let reason = format!(
                    "missing: no API server takes such an object; it is taken as if it were {expected}, and so are others of \
                     this file"
                );
                self.taken_otherwise(&title, "apiVersion", reason);
            }
            return true;
        }
        let group = |version: &str| version.split_once('/').map(|(group, _)| group.to_owned());
        if group(&api_version).is_some_and(|of| Some(&of) != group(&expected).as_ref() && of != "extensions") {
            let reason = format!("{api_version:?} is another API, which is not judged here; the object is left out");
            self.complain_of(&title, "apiVersion", reason);
            return false;
        }
        let follows = match kind {
            Kind::NetworkPolicy => {
                void_rules(&mut raw["spec"]);
                "the policy isolates the pods that it selects and admits nothing"
            }
            Kind::Namespace | Kind::Node | Kind::Pod => "the object is taken as if it were",
        };
        let reason = format!("{} is not {expected}: {follows}", raw["apiVersion"]);
        self.taken_otherwise(&title, "apiVersion", reason);
        true
    }

    /// A name of the metadata; `None`: there is none. YAML takes an unquoted `123` or `true` for a number or a truth, and
    /// an API server then refuses the object.
    fn text(&mut self, title: &str, field: &str, raw: &Value) -> Option<String> {
        let value = &raw["metadata"][field];
        let text: Cow<'_, str> = match value {
            Value::String(text) => text.into(),
            Value::Null => return None,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                let text = value.to_string();
                let reason = format!("{text} is no string, which an API server refuses; it is read as {text:?}");
                self.taken_otherwise(title, &format!("metadata.{field}"), reason);
                text.into()
            }
        };
        (!text.is_empty()).then(|| text.into_owned())
    }

    /// A name such as an API server would make for an object that only says how it is to begin.
    fn generated(&mut self, kind: Kind, raw: &Value) -> Option<String> {
        let prefix = raw["metadata"]["generateName"].as_str()?;
        let name = format!("{prefix}{}", self.parsed.objects.len() + 1);
        let reason = format!("an API server would choose a name; here it is {name:?}");
        self.taken_otherwise(kind.as_str(), "metadata.generateName", reason);
        Some(name)
    }
}
