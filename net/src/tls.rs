//! The one TLS configuration.

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};

/// The TLS configuration of every connection to the outside: the certificates
/// that this machine trusts, and Mozilla's, so that it also works in a container
/// that has none.
pub fn tls() -> Arc<ClientConfig> {
    static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| Arc::new(configure()));
    CONFIG.clone()
}

fn configure() -> ClientConfig {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // A certificate of the machine that cannot be read is one authority less, no reason to stop.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the protocol versions that it comes with")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_are_authorities_to_trust_even_on_a_bare_machine() {
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 50);
        assert!(std::sync::Arc::ptr_eq(&super::tls(), &super::tls()));
    }
}
