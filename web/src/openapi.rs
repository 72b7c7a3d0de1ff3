//! The description of the API for programs that read such descriptions.

use axum::http::header;
use axum::response::{IntoResponse, Response};

const DOCUMENT: &str = include_str!("../api/openapi.json");

/// `GET /api/v1/openapi.json`
pub(crate) async fn serve() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value as Json;

    #[test]
    fn every_path_of_the_api_is_described_and_no_other() {
        let document: Json = serde_json::from_str(super::DOCUMENT).unwrap();
        let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
        let served = crate::api_routes().into_iter().map(|(path, _)| path.to_owned());
        assert_eq!(served.collect::<BTreeSet<_>>(), described);
    }

    #[test]
    fn every_operation_says_what_it_is_for_and_what_its_parameters_are() {
        let document: Json = serde_json::from_str(super::DOCUMENT).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let said = |name: &str| operation[name].as_str().is_some_and(|text| !text.is_empty());
                assert!(said("summary") && said("operationId"), "{method} {path}");
                assert!(operation["responses"]["200"].is_object(), "{method} {path}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let described = parameter["description"].is_string() && parameter["schema"].is_object();
                    assert!(described, "{method} {path}: {parameter}");
                }
            }
        }
    }
}
