//! Articles out of records of the log and rows of the store.

use model::Article;
use serde_json::{Map, Value as Json};
use store::Rows;

/// The article of a record; none of a heartbeat, and of what does not validate.
pub(crate) fn of_record(value: &[u8]) -> Option<Article> {
    let article: Article = serde_json::from_slice(value).ok()?;
    (!article.is_heartbeat() && article.check().is_ok()).then_some(article)
}

/// The articles of stored rows.
pub(crate) fn of_rows(rows: &Rows) -> Vec<Article> {
    let article = |row: &Vec<model::schema::Value>| {
        let columns = rows.columns.iter().zip(row);
        let mut fields: Map<String, Json> =
            columns.map(|(column, value)| (column.name.clone(), value.to_json())).collect();
        // The store keeps no watermark: a row says nothing of what is complete.
        fields.insert("complete_until".into(), 0.into());
        if fields.get("search_term").is_none_or(Json::is_null) {
            fields.insert("search_term".into(), "".into());
        }
        serde_json::from_value::<Article>(Json::Object(fields)).ok()
    };
    rows.rows.iter().filter_map(article).collect()
}
