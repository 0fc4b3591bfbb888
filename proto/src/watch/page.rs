//! A list, page by page.

use super::request::{Requests, Stop, decode};
use crate::observe::Observe;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Objects in a page. Larger pages were slower to read and took more memory at their peak.
const PAGE: u32 = 500;

/// A list that outlives its continue token is tried again with pages this much larger…
const GROWTH: u32 = 4;

/// …up to this many objects.
const PAGE_LIMIT: u32 = 32_000;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

/// How large the pages of the next list are.
#[derive(Clone, Copy, Debug)]
pub struct PageSize(u32);

impl Default for PageSize {
    fn default() -> Self {
        Self(PAGE)
    }
}

impl Requests {
    /// The complete list, and the version to watch from.
    pub async fn list<T: Observe>(&mut self) -> Result<(Vec<T>, String), Stop> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let text = match self.page(self.page_size.0, token.as_deref()).await {
                // The list took longer than its token lives (W1): fewer, larger pages.
                Err(Stop::Expired) if token.is_some() => {
                    self.page_size.0 = (self.page_size.0 * GROWTH).min(PAGE_LIMIT);
                    return Err(Stop::Expired);
                }
                answer => answer?,
            };
            let page: Page = serde_json::from_str(&text).map_err(|error| self.nonsense("list", &error))?;
            let kind = T::KIND.kind;
            if page.kind.is_some_and(|is| is.strip_suffix("List") != Some(kind)) {
                return Err(self.nonsense("list", &format_args!("no {kind}List")));
            }
            objects.extend(page.items.unwrap_or_default().into_iter().filter_map(decode));
            match (page.metadata.r#continue, page.metadata.resource_version) {
                (Some(next), _) if !next.is_empty() => token = Some(next),
                (_, Some(version)) if !version.is_empty() => {
                    self.page_size = PageSize::default();
                    return Ok((objects, version));
                }
                // Whatever answered, it is not known to be a complete list.
                _ => return Err(self.nonsense("list", &"a list without resourceVersion")),
            }
        }
    }
}
