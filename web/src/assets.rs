//! The page's scripts and styles and plotly.js: named by their content, kept by
//! browsers for ever, compressed once.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::extract::{Path, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::AppState;
use crate::pages::not_found;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Done once, so it may take its time; more gains next to nothing.
const COMPRESSION: u32 = 6;

/// Our own files: they name each other, so they share one folder and one hash.
const OWN: &[(&str, &str, &str)] = &[
    ("app.css", include_str!("../assets/app.css"), "text/css; charset=utf-8"),
    ("icon.svg", include_str!("../assets/icon.svg"), "image/svg+xml"),
    ("alerts.js", include_str!("../assets/alerts.js"), JAVASCRIPT),
    ("app.js", include_str!("../assets/app.js"), JAVASCRIPT),
    ("chart.js", include_str!("../assets/chart.js"), JAVASCRIPT),
    ("colours.js", include_str!("../assets/colours.js"), JAVASCRIPT),
    ("episodes.js", include_str!("../assets/episodes.js"), JAVASCRIPT),
    ("explore.js", include_str!("../assets/explore.js"), JAVASCRIPT),
    ("figure.js", include_str!("../assets/figure.js"), JAVASCRIPT),
    ("format.js", include_str!("../assets/format.js"), JAVASCRIPT),
    ("frame.js", include_str!("../assets/frame.js"), JAVASCRIPT),
    ("legend.js", include_str!("../assets/legend.js"), JAVASCRIPT),
    ("news.js", include_str!("../assets/news.js"), JAVASCRIPT),
    ("notices.js", include_str!("../assets/notices.js"), JAVASCRIPT),
    ("picture.js", include_str!("../assets/picture.js"), JAVASCRIPT),
    ("recent.js", include_str!("../assets/recent.js"), JAVASCRIPT),
    ("refresh.js", include_str!("../assets/refresh.js"), JAVASCRIPT),
    ("remember.js", include_str!("../assets/remember.js"), JAVASCRIPT),
    ("series.js", include_str!("../assets/series.js"), JAVASCRIPT),
    ("spark.js", include_str!("../assets/spark.js"), JAVASCRIPT),
    ("status.js", include_str!("../assets/status.js"), JAVASCRIPT),
    ("stream.js", include_str!("../assets/stream.js"), JAVASCRIPT),
    ("study.js", include_str!("../assets/study.js"), JAVASCRIPT),
    ("table.js", include_str!("../assets/table.js"), JAVASCRIPT),
    ("watchlist.js", include_str!("../assets/watchlist.js"), JAVASCRIPT),
    ("theme.js", include_str!("../assets/theme.js"), JAVASCRIPT),
];

/// Everything under `/assets/`.
pub(crate) struct Assets {
    folder: String,
    own: Vec<Asset>,
    plotly: Asset,
}

struct Asset {
    path: String,
    etag: HeaderValue,
    content_type: &'static str,
    content: Content,
    /// None where it cannot be compressed.
    gzip: OnceLock<Option<Bytes>>,
}

enum Content {
    Own(&'static str),
    /// Taken out of the crate each time that it is wanted uncompressed, which is
    /// next to never: 4.6 MB that need not stay in memory.
    Plotly,
}

impl Assets {
    /// Names every asset by its content; nothing is compressed yet.
    pub(crate) fn new() -> Assets {
        let folder = hash(OWN.iter().flat_map(|(name, text, _)| [name.as_bytes(), text.as_bytes()]));
        let own = OWN
            .iter()
            .map(|&(name, text, kind)| {
                Asset::new(format!("{folder}/{name}"), &folder, kind, Content::Own(text))
            })
            .collect();
        let tag = hash([plotly_js().as_ref()]);
        let plotly = Asset::new(format!("plotly-{tag}.min.js"), &tag, JAVASCRIPT, Content::Plotly);
        Assets { folder, own, plotly }
    }

    /// Compresses every asset; whoever asks for one meanwhile waits for it.
    pub(crate) fn compress(&self) {
        for asset in self.own.iter().chain([&self.plotly]) {
            asset.compressed();
        }
    }

    /// The folder of our own files, as a path on the server.
    pub(crate) fn folder(&self) -> String {
        format!("/assets/{}", self.folder)
    }

    /// The path of plotly.js on the server.
    pub(crate) fn plotly(&self) -> String {
        format!("/assets/{}", self.plotly.path)
    }

    fn find(&self, path: &str) -> Option<&Asset> {
        self.own.iter().chain([&self.plotly]).find(|asset| asset.path == path)
    }
}

impl Asset {
    fn new(path: String, tag: &str, content_type: &'static str, content: Content) -> Asset {
        // Weak, because the compressed and the plain form share it.
        let etag = HeaderValue::try_from(format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("*"));
        Asset { path, etag, content_type, content, gzip: OnceLock::new() }
    }

    fn text(&self) -> Bytes {
        match self.content {
            Content::Own(text) => Bytes::from_static(text.as_bytes()),
            Content::Plotly => plotly_js(),
        }
    }

    /// Takes its time when it is asked for first.
    fn compressed(&self) -> Option<&Bytes> {
        let compress = || {
            compress(&self.text(), COMPRESSION)
                .inspect_err(|error| tracing::warn!(asset = self.path, %error, "served uncompressed"))
                .ok()
        };
        self.gzip.get_or_init(compress).as_ref()
    }

    fn answer(&self, asked: &HeaderMap) -> Response {
        let common: [(HeaderName, HeaderValue); 3] = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        if is_known(asked, &self.etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type))];
        match self.gzip.get().and_then(Option::as_ref).filter(|_| is_taken(asked)) {
            Some(compressed) => {
                let encoding = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
                (common, content_type, encoding, compressed.clone()).into_response()
            }
            None => (common, content_type, self.text()).into_response(),
        }
    }
}

/// `GET /assets/…`
pub(crate) async fn serve(
    State(site): State<Arc<AppState>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some(asset) = site.assets.find(&path) else { return not_found(State(site), uri).await };
    if asset.gzip.get().is_none() && is_taken(&headers) {
        let (site, path) = (site.clone(), path.clone());
        let compress = move || site.assets.find(&path).map(|asset| asset.compressed().is_some());
        // What fails is served as it is.
        let _ = tokio::task::spawn_blocking(compress).await;
    }
    asset.answer(&headers)
}

/// Exactly the text of plotly.min.js, out of the script elements that the
/// `plotly` crate carries it in; MathJax, which comes with it, is not wanted.
fn plotly_js() -> Bytes {
    let page = plotly::Plot::offline_js_sources();
    let (start, end) = plotly_in(&page).unwrap_or((0, 0));
    Bytes::from(page).slice(start..end)
}

fn plotly_in(page: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(opened) = page[from..].find("<script") {
        let start = from + opened + page[from + opened..].find('>')? + 1;
        let end = start + page[start..].find("</script>")?;
        let banner: String = page[start..end].chars().take(200).collect();
        if banner.contains("plotly.js v") {
            return Some((start, end));
        }
        from = end + "</script>".len();
    }
    None
}

fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn is_known(asked: &HeaderMap, etag: &HeaderValue) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = etag.to_str().map(bare).unwrap_or_default();
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == "*" || bare(tag) == ours)
}

// Compression, where the other side takes it.

/// Compresses at `level`, 1 (quick) to 9 (small).
pub(crate) fn compress(text: &[u8], level: u32) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text)?;
    encoder.finish().map(Bytes::from)
}

/// Whether a request takes an answer in gzip.
pub(crate) fn is_taken(asked: &HeaderMap) -> bool {
    asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let refused = parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            named && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn plotly_is_taken_whole_out_of_its_script_element() {
        let text = plotly_js();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.starts_with("/**\n* plotly.js v"), "{}", &text[..80]);
        assert!(text.ends_with("}));"), "{}", &text[text.len() - 80..]);
        assert!(text.len() > 3_000_000, "{} bytes", text.len());
        assert!(text.contains("window.Plotly = Plotly"));
        // The end of the element is found by its closing tag, so the script must hold none.
        let page = plotly::Plot::offline_js_sources();
        let (start, end) = plotly_in(&page).unwrap();
        assert_eq!(page[start..end].matches("</script").count(), 0);
        assert!(page[end..].starts_with("</script>"));
    }

    #[test]
    fn plotly_is_found_wherever_it_stands() {
        let page = "<script>MathJax</script>\n<script type='x'>/* plotly.js v9 */ 1</script>";
        let (start, end) = plotly_in(page).unwrap();
        assert_eq!(&page[start..end], "/* plotly.js v9 */ 1");
        assert_eq!(plotly_in("<script>other</script>"), None);
    }

    #[test]
    fn every_file_that_our_scripts_import_is_served() {
        for (name, text, _) in OWN {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let from = line.split("\"./").nth(1).unwrap().split('"').next().unwrap();
                assert!(OWN.iter().any(|(served, ..)| *served == from), "{name} imports {from}");
            }
        }
    }

    #[test]
    fn gzip_is_used_where_it_is_taken() {
        let asked = |value: &'static str| {
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
        };
        assert!(is_taken(&asked("br, GZIP;q=0.5")) && is_taken(&asked("gzip")));
        assert!(!is_taken(&asked("br")) && !is_taken(&asked("gzip; q=0")) && !is_taken(&HeaderMap::new()));
    }
}
